"""Reads the recording of a load test (`NAME.json` beside its report): its jobs, instances and cold starts.

The format is documented where it is written, in loadtests/recording.py: tables of columns and rows, with times in
seconds after the run's beginning. It becomes a `Recording` of one Service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.simulate.observed.model import ObservedError
from darkroom.simulate.observed.recording import Recording

FORMAT = "darkroom-load-run"
_VERSION = 1

Row = Mapping[str, Any]


def is_load_run(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("format") == FORMAT


def parse_load_run(text: str, *, service: str, source: str) -> Recording:
    """Parse a recording; only the jobs that the Service did count. Raises ObservedError.

    A job's end is that of its record, which has no resolution of polling; where it is not known, the one that the
    client saw. Its service time is the sum of its steps.
    """
    try:
        document = json.loads(text)
        if not is_load_run(document):
            raise ObservedError(f'{source} is not the recording of a load test: its "format" is not {FORMAT!r}')
        if document["version"] > _VERSION:
            raise ObservedError(f"{source} has version {document['version']}; this program reads up to {_VERSION}")
        recording = _recording(document, service, source)
    except ObservedError:
        raise
    except (ValueError, TypeError, KeyError) as exc:
        raise ObservedError(f"{source} is not the recording of a load test: {exc!r}") from exc
    if not recording.arrivals_s:
        raise ObservedError(f"{source} has no job that {service} does")
    return recording


def _recording(document: Row, service: str, source: str) -> Recording:
    jobs = sorted(
        (job for job in _rows(document["jobs"]) if _service_of(job) == service and _arrived(job) is not None),
        key=lambda job: float(_arrived(job) or 0.0),
    )
    seen = [row for row in _rows(document["instances"]) if _is(row, service) and row["ready"] is not None]
    starts = [row for row in _rows(document["cold_starts"]) if _is(row, service) and row["took_s"] is not None]
    steps = [[job[name] for name in ("fetch_ms", "render_ms", "store_ms")] for job in jobs]
    service_s = [sum(each) / 1000 for each in steps if None not in each]
    run = document["run"]
    return Recording(
        name=str(run["shape"]),
        service=service,
        arrivals_s=[float(_arrived(job) or 0.0) for job in jobs],
        took_s=[_took(job) for job in jobs],
        ticks=[(float(row["at_s"]), int(row["ready"]), int(row["wanted"] or 0)) for row in seen],
        starts=[(float(row["at_s"]), float(row["took_s"])) for row in starts],
        sizes=service_s if len(service_s) == len(jobs) else (),
        service_s=service_s,
        recorded_at=str(run["began_at"]),
        machine=source,
    )


def _rows(table: Row) -> Iterator[dict[str, Any]]:
    for row in table["rows"]:
        yield dict(zip(table["columns"], row, strict=True))


def _is(row: Row, service: str) -> bool:
    return service in (row["service"], str(row["service"]).rpartition("/")[2])


def _service_of(job: Row) -> str:
    """Return which Service does a job: that of its type, or its sibling for expensive ones."""
    return f"{job['job_type']}-heavy" if job.get("cost_class") == "heavy" else str(job["job_type"])


def _arrived(job: Row) -> float | None:
    """Return when the job was accepted; a picture that never was did not reach the Broker."""
    at = job["created_s"] if job["created_s"] is not None else job["accepted_s"]
    return None if at is None else float(at)


def _took(job: Row) -> float | None:
    ended = job["finished_s"] if job["finished_s"] is not None else job["ended_s"]
    arrived = _arrived(job)
    if job["outcome"] != "completed" or ended is None or arrived is None:
        return None
    return max(0.0, float(ended) - arrived)
