"""Why a job is where it is: what it waits for, each attempt, its end. The sentences are the API's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darkroom.cli.api import Api
from darkroom.cli.runtime_file import runtime_addresses
from darkroom.cli.terminal import format_duration


def explain_job(job_id: str, data: Path) -> tuple[list[str], dict[str, Any]]:
    """Return sentences about a job of the running `darkroom up`, and the job. Raises click.ClickException."""
    api = Api(runtime_addresses(data).api)
    try:
        job = api.job(api.full_id(job_id))
    finally:
        api.close()
    return list(job_lines(job, datetime.now(UTC))), job


def job_lines(job: Mapping[str, Any], now: datetime) -> Iterator[str]:
    yield f"job {job['job_id']}, {job.get('type')}: {job['status']}"
    if waiting := job.get("waiting_for"):
        yield f"it waits ({waiting['code']}) for {_span(waiting['since'], now)}: {waiting['sentence']}"
    for entry in job.get("attempts_log", []):
        outcome = entry["code"] or ("completed the job" if entry["ended"] else "is under way")
        took = (
            "" if entry["ended"] is None else f" after {_span(entry['began'], datetime.fromisoformat(entry['ended']))}"
        )
        yield f"attempt {entry['attempt']} by {entry['instance']}: {outcome}{took}"
    if error := job.get("error"):
        yield f"it failed with {error['code']}: {error['message']}"
    if job["status"] == "completed":
        steps = ", ".join(f"{step} {ms} ms" for step, ms in job.get("timings_ms", {}).items())
        yield f"it took {_span(job['created_at'], datetime.fromisoformat(job['finished_at']))} ({steps})"


def _span(since: str, until: datetime) -> str:
    return format_duration((until - datetime.fromisoformat(since)).total_seconds())
