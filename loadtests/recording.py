"""The recording of a run: each picture and each observation, as one JSON file beside the report (`NAME.json`).

It is what programs read: the simulator takes arrivals, sizes and service times from it and lays its own run over the
real one; `--compare` takes two. The page (`NAME.html`) is for people. `dumps` and `loads` are pure; `write` and `read`
add the file.

The file is UTF-8 JSON:

    {"format": "darkroom-load-run", "version": 1,
     "run": {...}, "jobs": TABLE, "instances": TABLE, "backlog": TABLE, "cold_starts": TABLE}

A TABLE is `{"columns": ["name", ...], "rows": [[value, ...], ...]}`, one row per line in the file. Find columns by
their names, since later versions may add some: a reader refuses another `format` or a larger `version`, and ignores
columns and members that it does not know. Whatever is not known is `null`.

**Times** ending in `_s` are seconds after the run's beginning, which is the moment when the shape's first stage began;
what happened before it is negative. They are rounded to the millisecond. Durations ending in `_ms` are whole
milliseconds.

`run`, an object:
    shape           name of the shape; "burst"
    scale, stretch  what its rates and its durations were multiplied with
    seed            of a shape whose arrivals are drawn; null for the others
    host            the API's address
    began_at        the beginning, RFC 3339 in UTC
    shape_s         how long the shape sends visitors
    ended_s         when the last end was seen, or the wait for it was over
    generators      how many processes sent the load: 1, or the workers of a distributed locust
    interrupted     true if the run was ended early
    objective       {"ratio": 0.995, "within_s": 10.0}
    passed          whether it met the objective with a clean ledger
    poll_every_s    how often a visitor that polls looks
    observed        the source of `instances` and `backlog`: its name, and null without one
    observed_every_s  the time between two observations

`jobs`, a row per picture that was submitted, in the order of arrival:
    arrival_s       the first POST of it began
    job_type        "resize", "crop", "renditions"
    order           the kind of picture and request, for grouping; "resize 2K"
    input_bytes, input_width_px, input_height_px   of the picture
    story           what its visitor did: the name of a class in loadtests.stories
    follows         how its end was seen: "waiting" (a long request, exact to a round trip), "polling" (up to
                    `poll_every_s` late), "audit" (after the load: `ended_s` is later than the end by an unknown time)
    outcome         "completed", "failed", "lost" (accepted, and no such job or result), "stuck" (accepted, never
                    ended), "refused" (never accepted), "cut off" (an interrupt came first)
    accepted_s      the 202 arrived
    ended_s         the client saw the end; latency as the client sees it is ended_s - arrival_s
    created_s, started_s, finished_s   of the job's record, by the job store's clock: accepted, the first attempt began,
                    final. finished_s - created_s is the latency without the resolution of polling
    fetch_ms, render_ms, store_ms      the last attempt's steps
    attempts        how often a function has begun it
    cost_class      "standard" or "heavy": which of a function's Services does it
    job_id          for looking it up

`instances`, a row per observation and Service; a Service that never had or wanted an instance has none:
    at_s, service   "namespace/name" or "name", as the source calls it
    wanted, ready   instances that the autoscaler decided on, and that accept requests
    capped          true if the local runtime's own limit (--max-instances) refused it an instance

`backlog`, a row per observation:
    at_s, events    events that wait for the Trigger that is furthest behind

`cold_starts`, a row per instance that became ready during the run:
    at_s, service   when it was ready
    took_s          from the spawn until it accepted connections; null where only the count is known
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from loadtests.errors import RecordingError

FORMAT = "darkroom-load-run"
VERSION = 1

WAITING, POLLING, AUDIT = "waiting", "polling", "audit"
"""How the end of a job was seen."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    shape: str
    scale: float
    stretch: float
    seed: int | None
    host: str
    began_at: str
    shape_s: float
    ended_s: float
    generators: int
    interrupted: bool
    objective: Mapping[str, float]
    passed: bool
    poll_every_s: float
    observed: str | None
    observed_every_s: float | None


@dataclass(frozen=True, kw_only=True)
class RecordedJob:
    arrival_s: float
    job_type: str
    order: str
    input_bytes: int | None
    input_width_px: int | None
    input_height_px: int | None
    story: str | None
    follows: str | None
    outcome: str
    accepted_s: float | None = None
    ended_s: float | None = None
    created_s: float | None = None
    started_s: float | None = None
    finished_s: float | None = None
    fetch_ms: int | None = None
    render_ms: int | None = None
    store_ms: int | None = None
    attempts: int | None = None
    cost_class: str | None = None
    job_id: str | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from the first POST until the client saw it completed."""
        return self.ended_s - self.arrival_s if self.outcome == "completed" and self.ended_s is not None else None


@dataclass(frozen=True, kw_only=True)
class RecordedInstances:
    at_s: float
    service: str
    wanted: int | None
    ready: int | None
    capped: bool


@dataclass(frozen=True, kw_only=True)
class RecordedBacklog:
    at_s: float
    events: int


@dataclass(frozen=True, kw_only=True)
class RecordedColdStart:
    at_s: float
    service: str
    took_s: float | None


@dataclass(frozen=True, kw_only=True)
class Recording:
    run: RecordedRun
    jobs: Sequence[RecordedJob]
    instances: Sequence[RecordedInstances] = ()
    backlog: Sequence[RecordedBacklog] = ()
    cold_starts: Sequence[RecordedColdStart] = ()


_Row = TypeVar("_Row", RecordedJob, RecordedInstances, RecordedBacklog, RecordedColdStart)


# --- writing ---------------------------------------------------------------------------------------------------------


def write(recording: Recording, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(recording), encoding="utf-8")


def dumps(recording: Recording) -> str:
    """Return the file's text: the same bytes for the same recording."""
    members = {
        "format": json.dumps(FORMAT),
        "version": json.dumps(VERSION),
        "run": json.dumps(asdict(recording.run)),
        "jobs": _table(RecordedJob, recording.jobs),
        "instances": _table(RecordedInstances, recording.instances),
        "backlog": _table(RecordedBacklog, recording.backlog),
        "cold_starts": _table(RecordedColdStart, recording.cold_starts),
    }
    return "{" + ",\n".join(f'"{name}": {text}' for name, text in members.items()) + "}\n"


def _table(row_type: type[_Row], rows: Iterable[_Row]) -> str:
    columns = [field.name for field in fields(row_type)]
    lines = [json.dumps([_value(getattr(row, name)) for name in columns], separators=(",", ":")) for row in rows]
    return f'{{"columns": {json.dumps(columns)}, "rows": [\n' + ",\n".join(lines) + "]}"


def _value(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> Recording:
    """Read a recording, or that of a report (`NAME.html`) from the file beside it. Raises RecordingError."""
    file = path.with_suffix(".json") if path.suffix == ".html" else path
    try:
        return loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        beside = f", which should lie beside {path}" if file != path else ""
        raise RecordingError(f"there is no recording {file}{beside}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise RecordingError(f"{file} cannot be read: {exc}") from exc
    except RecordingError as exc:
        raise RecordingError(f"{file}: {exc}") from exc


def loads(text: str) -> Recording:
    """Parse the file's text. Raises RecordingError."""
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise RecordingError(f"not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RecordingError(f'not the recording of a load test: "format" has to be "{FORMAT}"')
    if not isinstance(document.get("version"), int) or document["version"] > VERSION:
        raise RecordingError(f"its version is {document.get('version')!r}; this program reads up to {VERSION}")
    try:
        return Recording(
            run=RecordedRun(**_known(RecordedRun, document["run"])),
            jobs=_rows(RecordedJob, document["jobs"]),
            instances=_rows(RecordedInstances, document["instances"]),
            backlog=_rows(RecordedBacklog, document["backlog"]),
            cold_starts=_rows(RecordedColdStart, document["cold_starts"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise RecordingError(f"a member is missing or has another form: {exc!r}") from exc


def _rows(row_type: type[_Row], table: Mapping[str, Any]) -> list[_Row]:
    columns = table["columns"]
    return [row_type(**_known(row_type, dict(zip(columns, row, strict=True)))) for row in table["rows"]]


def _known(row_type: type[Any], members: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(row_type)}
    return {name: value for name, value in members.items() if name in names}
