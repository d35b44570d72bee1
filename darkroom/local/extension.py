"""The interface through which a project extends the runtime with its own metrics, preparation and preloads.

The project file names an object (`extension = "package.module:object"`) that implements `Extension`. The runtime calls
it; an extension imports nothing from the runtime except these Protocols.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from darkroom.diagnosis import Finding
from darkroom.local.errors import LocalRuntimeError
from darkroom.telemetry.metric import Readings

if TYPE_CHECKING:
    from darkroom.console.extension import ConsolePages


@dataclass(frozen=True, kw_only=True)
class Run:
    """What an application is told about the current run."""

    project_root: Path
    variables: Mapping[str, str]
    """Environment variables that replace the addresses and Secrets of the functions' manifests: those of the project
    file's servers, and those set on the command line."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The functions' environment variables. Of one that they set differently, the value of one of them."""
    addresses: Mapping[str, str | None] = field(default_factory=dict)
    """Where the runtime's parts listen, as `runtime.json` has them."""
    logs: Path | None = None
    """The folder of the functions' logs; None in tests that have none."""


class Application(Protocol):
    """An application during one run.

    Its methods may block, so the runtime calls them in threads. They raise DependencyUnavailableError if a server is
    unavailable.
    """

    @property
    def code(self) -> Sequence[Path]:
        """Return the folders of code that every function imports, for the watch mode."""

    @property
    def status(self) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
        """Return the application's sections of `darkroom status`, by name."""

    @property
    def readings(self) -> Mapping[str, Callable[[], Readings]]:
        """Return the application's parts of `/metrics`, by name. If one fails, only that part is left out."""

    def prepare(self, servers: Collection[str]) -> None:
        """Create what the application needs in these servers (`nats`, `redis`, `s3`). Must be idempotent.

        Called with all of them at startup, and again with a server that may have lost its data.
        """

    def route_template(self, path: str) -> str:
        """Return the route of a path, for use as a metric label; empty for an unknown path."""

    def close(self) -> None: ...


@runtime_checkable
class Announcing(Protocol):
    """An application that has something to say when everything is up. It need not implement this."""

    def banner(self, api: str) -> Sequence[str]:
        """Return lines for the console, such as a command to try. `api` is the gateway's address."""


@runtime_checkable
class Diagnosing(Protocol):
    """An application that can say what is wrong with it. It need not implement this."""

    @property
    def findings(self) -> Mapping[str, Callable[[Mapping[str, Any]], Sequence[Finding]]]:
        """Return the parts that can be looked at, by name, such as "job store". Each is given the runtime's status
        document, and returns what is wrong now. If one fails or hangs, the others are shown.
        """


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """Something that an application finds wrong in its own files."""

    file: Path
    line: int
    """From 1."""
    rule: str
    message: str


@runtime_checkable
class Checking(Protocol):
    """An extension with rules of its own for `darkroom check`. It need not implement this."""

    def complaints(self, project_root: Path, manifests: Sequence[Path]) -> Sequence[Complaint]:
        """Return what is wrong in the application's own files, and in `manifests`, files or folders, as far as they
        are about the application.
        """


@runtime_checkable
class Showing(Protocol):
    """An extension with pages of its own for the console. It need not implement this."""

    def console(self, run: Run) -> ConsolePages:
        """Return the pages. Called in the console's process."""


class Extension(Protocol):
    def attach(self, run: Run) -> Application: ...

    def preload(self) -> None:
        """Import what every function imports, in the process that functions are forked from.

        Must not start threads or leave connections open.
        """


@dataclass(frozen=True, kw_only=True)
class NoApplication:
    """The application of a project without an extension."""

    code: Sequence[Path] = ()
    status: Mapping[str, Callable[[], Mapping[str, Any]]] = field(default_factory=dict)
    readings: Mapping[str, Callable[[], Readings]] = field(default_factory=dict)

    def prepare(self, servers: Collection[str]) -> None:
        return None

    def route_template(self, path: str) -> str:
        return ""

    def close(self) -> None:
        return None


def load_application(reference: str | None, run: Run) -> Application:
    """Load a project's extension and attach it to the run. Raises LocalRuntimeError if it cannot be loaded."""
    return NoApplication() if reference is None else load_extension(reference, run.project_root).attach(run)


def load_extension(reference: str, project_root: Path) -> Extension:
    """Load the object that a project names. Raises LocalRuntimeError if it cannot be loaded."""
    module, _, name = reference.partition(":")
    root = str(project_root.resolve())
    if root not in sys.path:
        # Appended, so that the project's folder shadows no installed library.
        sys.path.append(root)
    try:
        extension: Extension = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise LocalRuntimeError(f"the project's extension {reference} cannot be loaded: {exc}") from exc
    return extension
