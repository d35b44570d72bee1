"""The file that `darkroom measure` writes and `darkroom simulate --times` reads. One JSON object:

{"format": "darkroom.measured/1", "service", "trigger", "machine", "measured_at", "container_concurrency",
 "service_s": [...], "starts": [[at_once, took_s], ...]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.simulate.observed.model import InstanceStart, Observed, ObservedError

FORMAT = "darkroom.measured/1"
_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Measured:
    service: str
    service_s: Sequence[float]
    starts: Sequence[InstanceStart]
    trigger: str = ""
    container_concurrency: int = 0
    machine: str = ""
    measured_at: str = ""

    def observed(self, source: str) -> Observed:
        return Observed(source=source, service_s=tuple(self.service_s), starts=tuple(self.starts))


def is_measured(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("format") == FORMAT


def parse_measured(text: str, *, source: str) -> Measured:
    """Parse the file. Raises ObservedError."""
    try:
        document = json.loads(text)
        if not is_measured(document):
            raise ObservedError(f'{source} was not written by `darkroom measure`: its "format" is not {FORMAT!r}')
        return Measured(
            service=str(document["service"]),
            trigger=str(document.get("trigger", "")),
            container_concurrency=int(document.get("container_concurrency", 0)),
            machine=str(document.get("machine", "")),
            measured_at=str(document.get("measured_at", "")),
            service_s=tuple(float(each) for each in document["service_s"]),
            starts=tuple(InstanceStart(at_once=float(n), took_s=float(took)) for n, took in document["starts"]),
        )
    except ObservedError:
        raise
    except (ValueError, TypeError, KeyError) as exc:
        raise ObservedError(f"{source} is not what `darkroom measure` writes: {exc!r}") from exc


def format_measured(measured: Measured) -> str:
    document = {
        "format": FORMAT,
        "service": measured.service,
        "trigger": measured.trigger,
        "machine": measured.machine,
        "measured_at": measured.measured_at,
        "container_concurrency": measured.container_concurrency,
        "service_s": [round(each, _DIGITS) for each in measured.service_s],
        "starts": [[round(start.at_once, 2), round(start.took_s, _DIGITS)] for start in measured.starts],
    }
    return json.dumps(document, indent=1) + "\n"
