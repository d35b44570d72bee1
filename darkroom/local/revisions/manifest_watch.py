"""Watches the manifests, so that a Service runs as its file now says: by a new revision, as on a cluster.

Only Services and Deployments are taken up while the runtime is up. A change of anything else is announced: it takes
effect with the next `darkroom up`. Manifests with a mistake change nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

from darkroom.local.reporting import Report
from darkroom.local.revisions.pool import Pool
from darkroom.manifests import ManifestError, Manifests, load
from darkroom.manifests.model import SERVING, Resource, ResourceKey
from darkroom.manifests.revision import Revision, ServiceKey
from darkroom.manifests.workloads import DEPLOYMENT

POLL_S = 1.0
SETTLE_S = 0.2
_SUFFIXES = (".yaml", ".yml")
_WORKLOADS = ((SERVING, "Service"), DEPLOYMENT)
_BY_BINDING = ("K_SINK", "K_CE_OVERRIDES")
_Stamps: TypeAlias = Mapping[str, tuple[int, int]]


@dataclass(kw_only=True)
class ManifestWatch:
    paths: Sequence[Path]
    """What is loaded: files and folders."""
    manifests: Manifests
    """What runs."""
    others: Sequence[Path]
    """Files that are read at the start only, such as the project file."""
    resolve: Callable[[Manifests], tuple[Manifests, Sequence[Revision]]]
    """Leaves out what does not run here, and makes the revisions of the rest."""
    pools: Mapping[ServiceKey, Pool]
    report: Report
    strict: bool = False
    poll_s: float = POLL_S
    settle_s: float = SETTLE_S

    async def run(self) -> None:
        """Watch until cancelled."""
        known, known_others = self._stamps(), _stamps(self.others)
        while True:
            await asyncio.sleep(self.poll_s)
            current, others = self._stamps(), _stamps(self.others)
            for file in _changed(known_others, others):
                self._announce(file)
            known_others = others
            if current == known:
                continue
            while (settled := await self._after_a_while()) != current:
                current = settled
            known = current
            await self._take_up()

    async def _after_a_while(self) -> _Stamps:
        await asyncio.sleep(self.settle_s)
        return self._stamps()

    def _stamps(self) -> _Stamps:
        folders = {file.parent for file in self.manifests.files} | {path for path in self.paths if path.is_dir()}
        beside = (
            entry for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.suffix in _SUFFIXES
        )
        return _stamps({*self.manifests.files, *self.paths, *beside})

    async def _take_up(self) -> None:
        try:
            manifests, resolved = self.resolve(await asyncio.to_thread(load, self.paths, strict=self.strict))
        except ManifestError as exc:
            self.report("manifests.refused", detail="the manifests run on as they were", findings=str(exc))
            return
        revisions = {revision.key: revision for revision in resolved}
        before, after = _resources(self.manifests), _resources(manifests)
        self.manifests = manifests
        changed = [key for key in {**before, **after} if _data(before, key) != _data(after, key)]
        for key in changed:
            revision = revisions.get((key[2], key[3])) if key[:2] in _WORKLOADS else None
            pool = None if revision is None else self.pools.get(revision.key)
            if revision is None or pool is None or key not in before:
                self._announce((after.get(key) or before[key]).document.file, f"{key[1]} {key[3]}")
            else:
                await self._replace(pool, revision)

    async def _replace(self, pool: Pool, resolved: Revision) -> None:
        bound = {name: pool.revision.env[name] for name in _BY_BINDING if name in pool.revision.env}
        current = pool.revision.number
        if replace(resolved, number=current, env={**resolved.env, **bound}) == pool.revision:
            return  # Only what does not concern the template was changed.
        revision = replace(resolved, number=pool.next_number(), env={**resolved.env, **bound})
        self.report("manifests.changed", service=revision.label, revision=revision.name)
        await pool.replace(revision)

    def _announce(self, file: Path, what: str = "") -> None:
        detail = f"restart `darkroom up` to take up the change of {file}"
        self.report("manifests.not_taken_up", resource=what, detail=detail)


def _resources(manifests: Manifests) -> dict[ResourceKey, Resource]:
    """Return the resources of every kind."""
    return {(each.api_version, each.kind, each.namespace, each.name): each for each in _all(manifests)}


def _all(manifests: Manifests) -> Iterator[Resource]:
    for attribute in fields(manifests):
        value: Any = getattr(manifests, attribute.name)
        if isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, Resource))


def _data(resources: Mapping[ResourceKey, Resource], key: ResourceKey) -> Any:
    return resources[key].document.data if key in resources else None


def _stamps(files: Collection[Path]) -> _Stamps:
    stamps = {}
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            continue  # It does not exist now.
        stamps[str(file)] = status.st_mtime_ns, status.st_size
    return stamps


def _changed(before: _Stamps, after: _Stamps) -> list[Path]:
    return [Path(file) for file in {**before, **after} if before.get(file) != after.get(file)]
