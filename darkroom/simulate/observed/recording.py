"""The format of a run that was recorded whole: what arrived, how long each request took, instances over time, starts.

The simulator reads it as traffic, takes service times and starts from it, and is compared with it. One JSON object:

    {"format": "darkroom.recorded-run/1", "name", "service", "machine", "recorded_at",
     "scaling": {annotation: text}, "container_concurrency", "clock_s",
     "arrivals_s": [...], "sizes": [...], "took_s": [... null: it never ended well],
     "ticks": [[at_s, ready, wanted], ...], "starts": [[ready_at_s, took_s], ...],
     "service_s": [...], "measured_starts": [[at_once, took_s], ...]}

All times are seconds after the first arrival was due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import fmean
from typing import Any

from darkroom.simulate.observed.model import InstanceStart, Observed, ObservedError, with_at_once
from darkroom.simulate.traffic import Traffic

FORMAT = "darkroom.recorded-run/1"
_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class Recording:
    name: str
    service: str
    arrivals_s: Sequence[float]
    took_s: Sequence[float | None]
    """Of each arrival, in the same order."""
    ticks: Sequence[tuple[float, int, int]]
    """When, instances that were ready, instances that the autoscaler wanted."""
    starts: Sequence[tuple[float, float]]
    """When an instance was ready, and how long its start took."""
    sizes: Sequence[float] = ()
    """What each arrival costs beside the others, in any unit; empty: not known."""
    service_s: Sequence[float] = ()
    """What an instance needed per request, where it was measured."""
    measured_starts: Sequence[tuple[float, float]] = ()
    """Starts that were measured before the run: how many were under way at once, and how long each took."""
    clock_s: float = 0.0
    """The autoscaler's clock at the beginning: it counts in whole seconds of it."""
    scaling: Mapping[str, str] = field(default_factory=dict)
    """The annotations under which it was recorded."""
    container_concurrency: int = 0
    machine: str = ""
    recorded_at: str = ""

    def traffic(self) -> Traffic:
        end_s = self.ticks[-1][0] if self.ticks else None
        source = f"the recorded run {self.name}"
        return Traffic(source=source, arrivals_s=tuple(self.arrivals_s), sizes=tuple(self.sizes), span_s=end_s)

    def observed(self) -> Observed:
        # Where each request has its size, the differences between them are in there already.
        service_s = (fmean(self.service_s),) if self.sizes and self.service_s else tuple(self.service_s)
        before = tuple(InstanceStart(at_once=at_once, took_s=took_s) for at_once, took_s in self.measured_starts)
        starts = before or with_at_once(self.starts)
        return Observed(source=f"the recorded run {self.name}", service_s=service_s, starts=starts)


def is_recording(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("format") == FORMAT


def parse_recording(text: str, *, source: str) -> Recording:
    """Parse a recorded run; members that are not known are ignored. Raises ObservedError."""
    try:
        document = json.loads(text)
        if not is_recording(document):
            raise ObservedError(f'{source} is not a recorded run: its "format" is not {FORMAT!r}')
        known = {each.name for each in fields(Recording)}
        given = {name: value for name, value in document.items() if name in known}
        given["ticks"] = [(float(at), int(ready), int(wanted)) for at, ready, wanted in given["ticks"]]
        for name in ("starts", "measured_starts"):
            given[name] = [(float(first), float(took)) for first, took in given.get(name, ())]
        recording = Recording(**given)
    except ObservedError:
        raise
    except (ValueError, TypeError, KeyError) as exc:
        raise ObservedError(f"{source} is not a recorded run: {exc!r}") from exc
    if len(recording.took_s) != len(recording.arrivals_s):
        raise ObservedError(
            f"{source} has {len(recording.arrivals_s)} arrivals and {len(recording.took_s)} durations of them"
        )
    return recording


def format_recording(recording: Recording) -> str:
    """Write a recorded run as JSON, with milliseconds."""
    document = {"format": FORMAT, **asdict(recording)}
    return json.dumps(_rounded(document), separators=(",", ":")) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
