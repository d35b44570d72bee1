"""The platform's own pages: those that every console has, and those that need a runtime."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from darkroom.console.extension import Section
from darkroom.console.pages import audit_log, overview, signing_in, why
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell

OWN_SECTIONS = (Section(title="Audit log", path="/audit", position=900),)
RUNTIME_SECTIONS = (
    Section(title="Overview", path="/", position=100),
    Section(title="Why", path="/why", position=200),
)


def own_routes(shell: Shell) -> Sequence[Route]:
    return [*signing_in.routes(shell), *audit_log.routes(shell)]


def runtime_routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    return [*overview.routes(shell, runtime), *why.routes(shell, runtime)]
