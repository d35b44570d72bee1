"""`darkroom job`: shows one job from the API, and what its record and its dead letter add."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from darkroom.cli.api import Api
from darkroom.cli.backends import usable_url
from darkroom.cli.job_store import OpenJobStore, open_job_store
from darkroom.cli.local_webhooks import ENDPOINTS_NAME
from darkroom.cli.owed_webhooks import owed_document, owed_line
from darkroom.cli.renditions import rendition_lines
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import format_duration, is_terminal, write, write_fields, write_json
from darkroom.cli.timeline import timeline
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError

url_option = click.option(
    "--url",
    envvar="DARKROOM_URL",
    help="Address of the API; its key, where it requires one, comes from DARKROOM_API_KEY.  "
    "[default: that of the running `darkroom up`]",
)


def api_of(url: str | None, data: Path) -> Api:
    return Api(url or runtime_addresses(data).api)


@click.command("job")
@click.argument("job_id")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 3600), default=0, help="Seconds to wait for the job's end.")
@click.option("--redis", "redis_url", envvar="REDIS_URL", help="Redis with the job records, for the timeline.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as is done without a terminal.")
@url_option
@data_option
def command(job_id: str, wait_s: float, redis_url: str | None, as_json: bool, url: str | None, data: Path) -> None:
    """Show the job JOB_ID, or the only recent one that begins so: its parameters, what it waits for and since when, its
    attempts, its result with a signed URL or its error, and how long each step took.

    If the job records can be read, as for the running `darkroom up`, the timeline shows each attempt: which instance
    made it, how long it had waited, how long it took, and its outcome. `darkroom logs JOB_ID` shows its log lines.
    """
    api = api_of(url, data)
    job_id = api.full_id(job_id)
    shown = api.follow(job_id, timeout_s=wait_s) if wait_s else api.job(job_id)
    if redis_url is not None or url is None:
        if redis_url is not None:
            usable_url("--redis", redis_url)
        shown |= _record_fields(open_job_store(redis_url, data), UUID(job_id), data)
    if url is None and shown["status"] == "failed":
        shown |= _dead_letter(runtime_addresses(data).nats, job_id)
    if as_json or not is_terminal():
        write_json(shown)
    else:
        _describe(shown)


def _record_fields(store: OpenJobStore, job_id: UUID, data: Path) -> dict[str, Any]:
    try:
        record, owed = store.get(job_id), store.owed.of_job(job_id)
    except JobUnreadableError:
        return {}  # As the API has said already.
    except DependencyUnavailableError as exc:
        return {"timeline_missing": f"{exc.code}: {exc.detail}"}
    finally:
        store.close()
    shown = {"webhooks_owed": owed_document(owed, data / ENDPOINTS_NAME)} if owed else {}
    if record is None:
        return shown
    return {"emissions": record.emissions, "redrives": record.redrives, "timeline": timeline(record), **shown}


def _dead_letter(nats_url: str, job_id: str) -> dict[str, Any]:
    from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
    from darkroom.redriving.letters import document
    from darkroom.redriving.selection import Selection, select

    letters = JetStreamDeadLetters(nats_url)
    try:
        # Not one of a webhook: that is no end of the job.
        found = next((one for one in select(letters, Selection(job_id=job_id)) if one.letter.job_type), None)
    except DependencyUnavailableError as exc:
        return {"dead_letter_missing": f"{exc.code}: {exc.detail}"}
    finally:
        letters.close()
    return {} if found is None else {"dead_letter": document(found)}


def _describe(job: dict[str, Any]) -> None:
    """Write a job for people: what is known, in the order in which one asks."""
    waiting, letter = job.get("waiting_for", {}), job.get("dead_letter", {})
    error, result = job.get("error", {}), job.get("result", {})
    fields = {
        "job": job["job_id"],
        "status": job["status"],
        "waits for": f"{waiting['sentence']} ({_ago(waiting['since'])})" if waiting else "",
        "error": f"{error['code']}: {error['message']}" if error else "",
        "dead letter": f"{letter['number']}; darkroom deadletters redrive {letter['number']}" if letter else "",
        "function": job.get("type"),
        "cost class": job.get("cost_class"),
        "parameters": "" if "results" in job else _joined(job.get("parameters", {})),
        "preset": "{name} {digest}".format(**job["preset"]) if "preset" in job else "",
        "result": "{width}x{height} {content_type}, {bytes:,} bytes".format(**result) if result else "",
        "url": result.get("url"),
        "accepted": _when(job.get("created_at")),
        "started": _when(job.get("started_at")),
        "ended": _when(job.get("finished_at")),
        "steps": ", ".join(f"{step} {ms} ms" for step, ms in job.get("timings_ms", {}).items()),
        "request": job.get("request_id"),
        "trace": job.get("trace_id"),
        "not known": job.get("timeline_missing") or job.get("dead_letter_missing"),
    }
    write_fields(fields)
    for line in rendition_lines(job.get("results", {})):
        write(f"rendition {line}")
    for entry in job.get("attempts_log", []):
        ended = (
            "" if entry["ended"] is None else f", took {format_duration(_between_s(entry['began'], entry['ended']))}"
        )
        outcome = entry["code"] or ("completed" if entry["ended"] else "under way")
        write(f"attempt {entry['attempt']}: {outcome}, by {entry['instance']}, began {_when(entry['began'])}{ended}")
    for owed in job.get("webhooks_owed", []):
        write(owed_line(owed))


def _joined(parameters: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _when(text: str | None) -> str:
    return "" if text is None else f"{text} ({_ago(text)})"


def _ago(text: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    return f"{format_duration(max(0.0, seconds))} ago"


def _between_s(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
