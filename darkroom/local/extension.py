"""How a project extends the runtime: its own counts, preparations and preloads, without the runtime knowing of them.

The project file names an object (`extension = "package.module:object"`) that follows `Extension`. Everything here is
called by the runtime; an extension imports nothing of it but these Protocols.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from darkroom.local.errors import LocalRuntimeError
from darkroom.telemetry.metric import Readings


@dataclass(frozen=True, kw_only=True)
class Run:
    """What an application learns of the run that it is part of."""

    project_root: Path
    variables: Mapping[str, str]
    """What functions find in the place of their manifests' addresses and Secrets: those of the project file's servers,
    and what the command was told."""


class Application(Protocol):
    """An application's part in one run. Methods block, and raise DependencyUnavailableError for a server that is away;
    the runtime calls them in threads."""

    @property
    def code(self) -> Sequence[Path]:
        """Folders of code that every function imports, for the watch mode."""

    @property
    def status(self) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
        """Sections of `darkroom status` by name."""

    @property
    def readings(self) -> Mapping[str, Callable[[], Readings]]:
        """Parts of `/metrics` by name. One that fails is left out and the others are shown."""

    def prepare(self, servers: Collection[str]) -> None:
        """Make in these servers (`nats`, `redis`, `s3`) what the application needs; idempotent. Called with all of them
        at the start, and again with one that may have lost its data."""

    def route_template(self, path: str) -> str:
        """The route that a path belongs to, as a metric's label; empty for a path of nobody's."""

    def close(self) -> None: ...


class Extension(Protocol):
    def attach(self, run: Run) -> Application: ...

    def preload(self) -> None:
        """Import what every function imports, in the process that functions are forked from. Must start no thread and
        leave no connection open."""


@dataclass(frozen=True, kw_only=True)
class NoApplication:
    """The part of a project that extends nothing."""

    code: Sequence[Path] = ()
    status: Mapping[str, Callable[[], Mapping[str, Any]]] = field(default_factory=dict)
    readings: Mapping[str, Callable[[], Readings]] = field(default_factory=dict)

    def prepare(self, servers: Collection[str]) -> None:
        return None

    def route_template(self, path: str) -> str:
        return ""

    def close(self) -> None:
        return None


def attached(reference: str | None, run: Run) -> Application:
    """The application of a project's extension. Raises LocalRuntimeError that says why it cannot be loaded."""
    return NoApplication() if reference is None else _loaded(reference, run.project_root).attach(run)


def _loaded(reference: str, project_root: Path) -> Extension:
    module, _, name = reference.partition(":")
    root = str(project_root.resolve())
    if root not in sys.path:
        # Behind everything that is installed: a project's folder hides no library.
        sys.path.append(root)
    try:
        extension: Extension = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise LocalRuntimeError(f"the project's extension {reference} cannot be loaded: {exc}") from exc
    return extension
