"""Assembles the Lua scripts of the Redis job store, and the rules and values that they are called with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from darkroom.adapters.jobs import (
    HISTORY_KEPT,
    RENEW_EVERY_S,
    KeptJob,
    NewJob,
)
from darkroom.adapters.jobs.admission import BacklogLimits
from darkroom.adapters.jobs.attempt_errors import TIMEOUT_MESSAGE, crash_error
from darkroom.adapters.jobs.made_records import made_text, presets_text
from darkroom.adapters.jobs.statistics_fields import lua_catalog
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import (
    DarkroomError,
    JobTimeoutError,
)

_SHARED_PARTS = {
    "release": ("giving_back", "erasures"),
    "fail": ("erasures",),
    "renew": ("erasures",),
    "withdraw": ("giving_back",),
    "recover": ("recovery", "erasures"),
    "recover_overdue": ("recovery",),
    "unemitted": ("recovery",),
    "backlog": ("unfinished",),
    "accept": ("unfinished", "bindings", "room", "erasures"),
    "admission": ("unfinished", "bindings", "room"),
    "condition": ("unfinished", "bindings", "room"),
    "restore": ("unfinished", "bindings", "room", "erasures"),
    "without_record": ("erasures",),
    "statistics": ("unfinished",),
    "claim": ("erasures",),
    "complete": ("erasures",),
    "rendered": ("erasures",),
    "cancel": ("erasures", "cancelling"),
    "erase": ("erasures", "bindings", "cancelling"),
    "is_erased": ("erasures",),
    "due_erasures": ("erasures",),
    "erasure_done": ("erasures",),
    "move_take": ("bindings", "moving"),
    "move_delivered": ("bindings", "moving"),
    "move_known": ("bindings", "erasures", "moving"),
    "move_left": ("erasures", "moving"),
}


@dataclass(frozen=True, kw_only=True)
class Script:
    text: str
    sha1: str
    """The digest by which EVALSHA names the script."""


@cache
def script(name: str) -> Script:
    text = script_text(name)
    return Script(text=text, sha1=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def script_text(name: str) -> str:
    """The script as it is sent to Redis: its first line, the catalog of metrics, the common parts, the rest."""
    shebang, _, body = _lua(name).partition("\n")
    common = ("counting", "by_owner", "common", "originals", "lanes", "thinning", "owing", "ending")
    parts = [_lua(part) for part in (*common, *_SHARED_PARTS.get(name, ()))]
    return "\n".join([shebang, lua_catalog(), *parts, body])


def _lua(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def job_values(job: NewJob) -> list[str]:
    """The values that accept.lua expects per job."""
    return [
        str(job.job_id),
        job.type,
        job.owner,
        compact(job.parameters),
        job.storage_key,
        job.request_id,
        job.fingerprint,
        job.idempotency_key or "",
        job.cost_class,
        job.trace,
        f"{job.turn:g}",
        str(job.original_bytes),
        job.webhooks,
        presets_text(job.presets) if job.presets else "",
    ]


def kept_job_values(kept: KeptJob) -> list[str]:
    """The values that restore.lua expects per job."""
    finished_at, result = kept.finished_at, kept.result
    return [
        *job_values(kept.new),
        str(milliseconds(kept.created_at.timestamp())),
        "" if result is None else result.model_dump_json(),
        "" if finished_at is None else str(milliseconds(finished_at.timestamp())),
        compact({name: made_text(kept.new.job_id, name, made) for name, made in kept.made.items()}),
        "1" if kept.is_complete else "",
    ]


def rules_text(
    max_attempts: int,
    max_emissions: int,
    job_timeout_s: float,
    times: JobTimes,
    broker_window: int | None,
    limits: BacklogLimits,
) -> str:
    return compact(
        {
            "history_kept": HISTORY_KEPT,
            "job_timeout": milliseconds(job_timeout_s),
            "renew_every": milliseconds(RENEW_EVERY_S),
            "crashed": error_text(crash_error()),
            "timed_out": compact([JobTimeoutError.code, TIMEOUT_MESSAGE]),
            "max_attempts": max_attempts,
            "max_emissions": max_emissions,
            "window": broker_window or 0,
            "quota": limits.quota or 0,
            "max_backlog": limits.max_backlog or 0,
            "lease": milliseconds(times.lease_s),
            "emitted_due_after": milliseconds(times.emitted_due_after_s),
            "unemitted_due_after": milliseconds(times.unemitted_due_after_s),
            "dead_letter_wait": milliseconds(times.dead_letter_wait_s),
            "longest_wait": milliseconds(times.longest_wait_s),
            "keep_within": milliseconds(times.keep_within_s),
            "final_kept": milliseconds(times.final_kept_s or 0),
            "idempotency_kept": milliseconds(times.idempotency_kept_s),
            "indexed": milliseconds(times.indexed_s or 0),
            "erase_within": milliseconds(times.erase_within_s),
            "erase_again_after": milliseconds(times.erase_again_after_s),
            "tombstone_kept": milliseconds(times.tombstone_kept_s),
        }
    )


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def error_text(error: DarkroomError) -> str:
    return compact([error.code, error.detail])
