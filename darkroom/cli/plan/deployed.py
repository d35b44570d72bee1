"""Reads what is deployed now from manifests: follows kustomizations, without applying their patches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from darkroom.contract.rates import Rate
from darkroom.events.durations import parse_retention
from darkroom.manifests import autoscaling
from darkroom.manifests.files import KUSTOMIZATIONS
from darkroom.manifests.platform.quantities import quantity
from darkroom.manifests.source import parse, read
from darkroom.planning.deployment import Deployment
from darkroom.planning.sizing import FunctionShape

PRODUCTION = Path("knative/installations/production")
_STORAGE_SERVERS = frozenset({"minio", "seaweedfs"})
_REDIS_MEMORY = re.compile(r"^maxmemory\s+(\d+)\s*(kb|mb|gb|k|m|g|)\s*$", re.M | re.I)
_REDIS_UNITS = {"": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
_NATS_STORE = re.compile(r"^\s*max_file_store:\s*(\d+)\s*([KMGT]?)B?\s*$", re.M | re.I)
_NATS_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
"""nats-server's `GB` is a GiB (conf/lex.go)."""


def read_deployment(paths: Sequence[Path]) -> Deployment:
    """Read manifests and the configuration files of the servers. Raises ManifestError."""
    found = _Found()
    for path in paths:
        found.add(path)
    settings = found.settings()
    return Deployment(
        functions=dict(found.functions()),
        max_ack_pending=found.max_ack_pending(),
        broker_window=_whole(settings.get("BROKER_WINDOW")),
        redis_maxmemory_bytes=_amount(_REDIS_MEMORY, _REDIS_UNITS, found.texts.get("redis.conf"), str.lower),
        redis_disk_bytes=found.volumes({"redis"}),
        jetstream_bytes=_amount(_NATS_STORE, _NATS_UNITS, found.texts.get("nats.conf"), str.upper),
        storage_bytes=found.volumes(_STORAGE_SERVERS),
        job_retention_s=parse_retention(settings["JOB_RETENTION"]) if "JOB_RETENTION" in settings else None,
        rate_per_minute=_per_minute(settings.get("RATE_LIMIT", "off")),
        sources=tuple(map(str, paths)),
    )


class _Found:
    """The documents and configuration files under some paths."""

    def __init__(self) -> None:
        self.documents: list[Mapping[str, Any]] = []
        self.texts: dict[str, str] = {}
        """Files of configMapGenerators, by name."""
        self._seen: set[Path] = set()

    def add(self, path: Path) -> None:
        kustomization = next((path / name for name in KUSTOMIZATIONS if (path / name).is_file()), None)
        if path.resolve() in self._seen:
            return
        self._seen.add(path.resolve())
        if kustomization is not None:
            self._follow(path, kustomization)
        elif path.is_dir():
            for file in sorted(path.glob("*.yaml")):
                self.add(file)
        else:
            self.documents += [each.data for each in read(path) if isinstance(each.data, dict)]

    def _follow(self, folder: Path, kustomization: Path) -> None:
        for document in read(kustomization):
            for name in [*document.data.get("resources", ()), *document.data.get("components", ())]:
                if (folder / name).exists():
                    self.add(folder / name)
            for generator in document.data.get("configMapGenerator", ()):
                for file in generator.get("files", ()):
                    path = folder / str(file).rpartition("=")[2]
                    self.texts[path.name] = path.read_text(encoding="utf-8")

    def of_kind(self, kind: str, group: str) -> Iterator[Mapping[str, Any]]:
        for document in self.documents:
            if document.get("kind") == kind and str(document.get("apiVersion", "")).startswith(group):
                yield document

    def settings(self) -> Mapping[str, str]:
        """Return the data of the ConfigMap that the functions take their environment from."""
        maps = [each.get("data", {}) for each in self.of_kind("ConfigMap", "v1")]
        return next((data for data in maps if "BROKER_WINDOW" in data or "JOB_RETENTION" in data), {})

    def max_ack_pending(self) -> int | None:
        for config_map in self.of_kind("ConfigMap", "v1"):
            template = config_map.get("data", {}).get("channel-template-spec")
            if isinstance(template, str):
                document = parse(template, Path("channel-template-spec"))[0].data
                return _whole(_at(document, "spec", "consumerConfigTemplate", "maxAckPending"))
        return None

    def functions(self) -> Iterator[tuple[str, FunctionShape]]:
        subscribers = {_at(each, "spec", "subscriber", "ref", "name") for each in self.of_kind("Trigger", "eventing.")}
        for service in self.of_kind("Service", "serving.knative.dev/"):
            name = str(_at(service, "metadata", "name"))
            yield name, _shape(service, takes_jobs=name in subscribers)

    def volumes(self, names: set[str] | frozenset[str]) -> float | None:
        """Return the bytes of all volumes of these StatefulSets."""
        total = 0.0
        for server in self.of_kind("StatefulSet", "apps/"):
            if _at(server, "metadata", "name") in names:
                claims = _at(server, "spec", "volumeClaimTemplates") or ()
                sizes = [float(quantity(_at(each, "spec", "resources", "requests", "storage"))) for each in claims]
                total += sum(sizes) * int(_at(server, "spec", "replicas") or 1)
        return total or None


def _shape(service: Mapping[str, Any], *, takes_jobs: bool) -> FunctionShape:
    template = _at(service, "spec", "template") or {}
    concurrency = int(_at(template, "spec", "containerConcurrency") or 0)
    scaling = autoscaling.parse(_at(template, "metadata", "annotations") or {}, concurrency)
    container = (_at(template, "spec", "containers") or [{}])[0]
    cpu, memory = (_at(container, "resources", "limits", each) for each in ("cpu", "memory"))
    return FunctionShape(
        container_concurrency=concurrency,
        cpu_limit=1.0 if cpu is None else float(quantity(cpu)),
        memory_bytes=None if memory is None else float(quantity(memory)),
        min_scale=scaling.min_scale,
        max_scale=scaling.max_scale,
        takes_jobs=takes_jobs,
    )


def _at(data: Any, *path: str) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _whole(value: object) -> int | None:
    return int(str(value)) if str(value).isdecimal() else None


def _amount(pattern: re.Pattern[str], units: Mapping[str, int], text: str | None, case: Any) -> float | None:
    match = pattern.search(text or "")
    return None if match is None else float(match[1]) * units[case(match[2])]


def _per_minute(text: str) -> float | None:
    rate = Rate.parse(text)
    return None if rate is None else rate.limit * 60 / rate.period_s
