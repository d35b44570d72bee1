"""Reads the local runtime's record: the attempts of `GET /record/tail`, and the starts of `GET /events`.

An attempt lasts from the dispatcher to the answer, so the wait for an instance is in it. Only attempts that cannot have
waited are service times: those that began while the subscriber had room for one more, with no start under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from darkroom.simulate.observed.model import Observed, ObservedError, with_at_once

_DONE = range(200, 300)


def read_record(
    attempts: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    *,
    service: str,
    trigger: str,
    room: int,
    source: str,
) -> Observed:
    """Read the attempts of a Trigger, and the starts of its subscriber. `room` is the number of requests that one
    instance takes at once. Raises ObservedError when there is neither.
    """
    starts = [(float(one["at"]), float(one["ready_s"])) for one in events if _is_start(one, service)]
    spans = sorted(
        (float(one["at"]), float(one["lasted_s"]), one.get("status"))
        for one in attempts
        if one.get("kind") == "attempted" and trigger in (one.get("trigger"), one.get("label"))
    )
    if not spans and not starts:
        raise ObservedError(f"{source} has no attempt of the Trigger {trigger} and no start of {service}")
    return Observed(source=source, service_s=tuple(_unhindered(spans, starts, room)), starts=with_at_once(starts))


def _is_start(event: Mapping[str, Any], service: str) -> bool:
    return event.get("action") == "instance.ready" and event.get("service") == service


def _unhindered(
    spans: Sequence[tuple[float, float, Any]], starts: Sequence[tuple[float, float]], room: int
) -> Iterable[float]:
    under_way: list[float] = []
    for began_at, lasted_s, status in spans:
        while under_way and under_way[0] <= began_at:
            heappop(under_way)
        ended_at = began_at + lasted_s
        waited = any(began_at < ready_at <= ended_at for ready_at, _ in starts)
        if len(under_way) < max(1, room) and not waited and status in _DONE:
            yield lasted_s
        heappush(under_way, ended_at)
