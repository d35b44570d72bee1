"""Service times and starts: from files, addresses, the running `darkroom up`, or as the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.runtime_file import runtime_addresses
from darkroom.cli.simulate.deployment import Deployed, Entrance
from darkroom.cli.simulate.files import read_observed
from darkroom.cli.terminal import printable
from darkroom.events.durations import parse_go
from darkroom.manifests.errors import suggestion
from darkroom.simulate.observed import InstanceStart, Observed, ObservedError
from darkroom.simulate.observed.record import read_record
from darkroom.simulate.observed.recording import Recording

LIVE = "live"
ASSUMED_MS = 100
"""The model's own default."""


@dataclass(frozen=True, kw_only=True)
class Times:
    observed: Mapping[str, Observed]
    """By Service."""
    remarks: tuple[str, ...] = ()


def read_times(
    given: Sequence[str],
    starts: str | None,
    deployed: Deployed,
    entrance: Entrance,
    recording: Recording | None,
    *,
    metric: str,
    data: Path,
) -> Times:
    """Read what --times and --starts name; else what a recorded run has. Raises click.ClickException."""
    observed: dict[str, Observed] = {}
    if recording is not None:
        observed[entrance.service] = recording.observed()
    for text in given:
        service, what = _named(text, deployed, entrance)
        found = _read(what, service, deployed, entrance, metric=metric, data=data)
        observed[service] = _joined(observed.get(service), found)
    if starts is not None:
        start = Observed(source="--starts", starts=(InstanceStart(took_s=_seconds(starts, "--starts")),))
        observed[entrance.service] = _joined(observed.get(entrance.service), start)
    return Times(observed=observed, remarks=tuple(_remarks(observed.get(entrance.service), entrance.service)))


def _named(text: str, deployed: Deployed, entrance: Entrance) -> tuple[str, str]:
    service, equals, what = text.partition("=")
    if not equals or "/" in service or service.startswith("http"):
        return entrance.service, text
    if service not in deployed.services:
        names = list(deployed.services)
        raise click.UsageError(
            f"there is no Service {service!r}{suggestion(service, names)}; there are {', '.join(names)}"
        )
    return service, what


def _read(what: str, service: str, deployed: Deployed, entrance: Entrance, *, metric: str, data: Path) -> Observed:
    if what == LIVE:
        return _read_live(service, deployed, entrance, data)
    if what[:1].isdigit() and not Path(what).exists():
        return Observed(source=what, service_s=(_seconds(what, "--times"),))
    return read_observed(what, service=service, metric=metric)


def _seconds(text: str, option: str) -> float:
    try:
        seconds = parse_go(text)
    except ValueError as exc:
        raise click.UsageError(f"{option}: there is no such file, and {exc}") from exc
    if seconds <= 0:
        raise click.UsageError(f"{option} must be more than 0, was {text}")
    return seconds


def _read_live(service: str, deployed: Deployed, entrance: Entrance, data: Path) -> Observed:
    """Read the record of the running `darkroom up`."""
    room = deployed.services[service].spec.template.spec.container_concurrency
    with AdminClient(runtime_addresses(data).admin, feature="a record") as admin:
        attempts = list(admin.lines("/record/tail", {"follow": "no", "since": 0}))
        events = admin.ask("GET", "/events")
    try:
        return read_record(
            attempts, events, service=service, trigger=entrance.to, room=room or 1, source="the running `darkroom up`"
        )
    except ObservedError as exc:
        raise click.ClickException(printable(exc)) from exc


def _joined(before: Observed | None, found: Observed) -> Observed:
    """Return what was found, with what only the earlier one has."""
    if before is None:
        return found
    return replace(
        found,
        source=found.source if found.service_s and found.starts else f"{before.source}, {found.source}",
        service_s=found.service_s or before.service_s,
        starts=found.starts or before.starts,
    )


def _remarks(observed: Observed | None, service: str) -> list[str]:
    remarks = []
    if observed is None or not observed.service_s:
        remarks.append(
            f"Assumed: {service} works {ASSUMED_MS} ms on each request. `darkroom measure` measures it; --times takes "
            "its file, or a time."
        )
    if observed is None or not observed.starts:
        remarks.append(
            "Assumed: starts take what they took on a cluster of one node with two cores, about a second alone and "
            "more, the more start at once. --starts or --times says otherwise."
        )
    return remarks
