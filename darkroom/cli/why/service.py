"""Why a Service has as many instances as it has, and what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darkroom.diagnosis.words import counted


def service_lines(row: Mapping[str, Any], decision: str, findings: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    """Return sentences about a Service: its instances, the autoscaler's last decision, and its findings.

    `row` is the Service's in the status document; `decision` is the runtime's sentence, empty before the first one.
    """
    name = row["service"]
    states = ", ".join(f"{row[state]} {state}" for state in ("ready", "unready", "starting", "draining") if row[state])
    return [
        f"{name} ({row['revision']}): {counted(int(row['wanted']), 'instance')} wanted; {states or 'none runs'}",
        f"the autoscaler's last decision: {decision or 'it has not decided yet'}",
        f"{counted(int(row['in_flight']), 'request')} in flight, {row['waiting']} waiting for an instance",
        *(f"{one['sentence']} {one['remedy']}" for one in findings if _is_about(str(name), one["subject"])),
    ]


def _is_about(name: str, subject: str) -> bool:
    return subject == f"function {name}" or name in subject.split(" ")[1:]
