"""The platform's own pages: those that every console has, and those that need a runtime."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from darkroom.console.extension import Section
from darkroom.console.pages import (
    audit_log,
    autoscaler,
    events,
    flow_map,
    functions,
    overview,
    receivers,
    signing_in,
    why,
)
from darkroom.console.runtime import Runtime
from darkroom.console.shell import Shell

OWN_SECTIONS = (Section(title="Audit log", path="/audit", position=900),)
RUNTIME_SECTIONS = (
    Section(title="Overview", path="/", position=100),
    Section(title="Why", path="/why", position=200),
    Section(title="Map", path="/map", position=300),
    Section(title="Events", path="/events", position=400),
    Section(title="Autoscaler", path="/autoscaler", position=700),
)
"""An application's sections may stand at 500 and 600, or anywhere else."""
_OF_THE_RUNTIME = (overview, why, flow_map, events, autoscaler, functions, receivers)


def own_routes(shell: Shell) -> Sequence[Route]:
    return [*signing_in.routes(shell), *audit_log.routes(shell)]


def runtime_routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    return [route for page in _OF_THE_RUNTIME for route in page.routes(shell, runtime)]
