"""What a project has already: its folders, its Brokers, its dead-letter sinks and the names that are taken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from darkroom.manifests import ManifestError
from darkroom.manifests.files import KUSTOMIZATIONS, Files
from darkroom.manifests.platform.bundle import SERVING, Bundle, Manifest
from darkroom.manifests.project import read_project

TABLE_OF_JOB_TYPES = Path("darkroom/contract/job_types.py")
_SINK_FIELDS = ("spec", "delivery", "deadLetterSink", "ref")


@dataclass(frozen=True, kw_only=True)
class BrokerPlace:
    namespace: str
    name: str
    dead_letters: str | None
    """The Service in the Broker's namespace that gets its dead letters; None if none is known."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    root: Path
    manifests: Path
    """The folder of the project's YAML, relative to the root."""
    kustomization: Path | None
    """The list of that folder's files, if it has one; relative to the root."""
    brokers: tuple[BrokerPlace, ...]
    namespaces: tuple[str, ...]
    services: frozenset[tuple[str, str]]
    """Namespace and name."""

    @property
    def is_checkout(self) -> bool:
        """Whether this is a checkout of Darkroom itself, with its table of job types."""
        return (self.root / TABLE_OF_JOB_TYPES).is_file()

    @property
    def tests(self) -> Path:
        """The folder of functions' tests."""
        ours = Path("tests", "unit", "functions")
        return ours if (self.root / ours).is_dir() else Path("tests")

    def broker(self, name: str | None) -> BrokerPlace:
        """Return the Broker of this name, or the only one. Raises click.ClickException."""
        found = [broker for broker in self.brokers if name in (None, broker.name, f"{broker.namespace}/{broker.name}")]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{broker.namespace}/{broker.name}" for broker in self.brokers)
        if not known:
            raise click.ClickException(
                f"there is no Broker in {self.manifests}/, and an event function gets its events from one; "
                "`darkroom new project` in an empty folder shows what a Broker on JetStream takes"
            )
        asked = f"no Broker {name}" if name is not None and not found else "more than one Broker"
        raise click.ClickException(f"there is {asked}; choose one of {known} with --broker")

    def require_free(self, namespace: str, name: str) -> None:
        """Raises click.ClickException if a Service of that name is there already."""
        if (namespace, name) in self.services:
            raise click.ClickException(
                f"there is a Service {name} in the namespace {namespace} already; choose another name"
            )

    def namespace(self) -> str:
        """Return the namespace of what is there. Raises click.ClickException."""
        if len(self.namespaces) == 1:
            return self.namespaces[0]
        if not self.namespaces:
            return "default"
        raise click.ClickException(
            f"there is more than one namespace; choose one of {', '.join(self.namespaces)} with --namespace"
        )


def read_layout(root: Path) -> Layout:
    """Raises click.ClickException for a folder that is no project, or whose YAML cannot be read."""
    try:
        project = read_project(root)
    except ManifestError as exc:
        raise click.ClickException(str(exc)) from exc
    folders = [path for path in project.manifests if path.is_dir()]
    if not folders:
        raise click.ClickException(
            f"{root.resolve()} is no project: it has no darkroom.toml and no folder of Knative YAML; change to a "
            "project's folder, or begin one here with `darkroom new project NAME`"
        )
    files = Files()
    files.add_all(project.manifests)
    if files.findings:
        raise click.ClickException(str(ManifestError(files.findings)))
    bundle = Bundle(files.documents)
    kustomization = next((folders[0] / name for name in KUSTOMIZATIONS if (folders[0] / name).is_file()), None)
    return Layout(
        root=root,
        manifests=folders[0].relative_to(root),
        kustomization=None if kustomization is None else kustomization.relative_to(root),
        brokers=tuple(
            BrokerPlace(namespace=each.namespace, name=each.name, dead_letters=_dead_letters(each, bundle))
            for each in bundle.brokers
        ),
        namespaces=tuple(
            dict.fromkeys(each.namespace for each in (*bundle.brokers, *bundle.functions, *bundle.triggers))
        ),
        services=frozenset((each.namespace, each.name) for each in bundle.functions),
    )


def _dead_letters(broker: Manifest, bundle: Bundle) -> str | None:
    """The Broker's own dead-letter sink, or else the one that most of its Triggers have."""
    own = _service(broker.get(*_SINK_FIELDS), broker.namespace)
    if own is not None:
        return own
    triggers = [each for each in bundle.triggers if bundle.broker_of(each) is broker]
    sinks = Counter(
        sink for each in triggers if (sink := _service(each.get(*_SINK_FIELDS), broker.namespace)) is not None
    )
    return next((name for name, _ in sinks.most_common(1)), None)


def _service(reference: Any, namespace: str) -> str | None:
    if not isinstance(reference, dict) or not str(reference.get("apiVersion")).startswith(SERVING):
        return None
    return str(reference.get("name")) if reference.get("namespace") in (None, namespace) else None
