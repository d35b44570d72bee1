"""Which presets a picture still lacks, and the name under which its job is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is known of one preset of one picture."""

    digest: str
    """The preset's digest when it was made, or could not be."""
    failed: bool = False
    attempts: int = 1
    """The jobs that were made for this digest."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one preset of one picture ended."""

    preset: str
    digest: str
    result: str | None = None
    """The result's key in storage."""
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One picture, whose missing presets are made by one job."""

    number: int
    storage_key: str
    presets: Mapping[str, str]
    """Digests by name."""
    idempotency_key: str
    job_id: str | None = None
    """Set once the job was accepted."""


def lacking(presets: Mapping[str, str], made: Mapping[str, Made], *, changed: bool) -> dict[str, str]:
    """Return the presets (digests by name) that a picture lacks.

    With `changed`, only those that were made with another digest; else also those that failed or were never made.
    """
    if changed:
        return {name: digest for name, digest in presets.items() if name in made and made[name].digest != digest}
    return {
        name: digest
        for name, digest in presets.items()
        if name not in made or made[name].digest != digest or made[name].failed
    }


def idempotency_key(storage_key: str, presets: Mapping[str, str], made: Mapping[str, Made]) -> str:
    """Return the key that makes a repeated submission the same job: it follows from the picture, the presets' digests,
    and how often they were tried.
    """
    tried = {name: _attempts(digest, made.get(name)) for name, digest in presets.items()}
    content = json.dumps([storage_key, dict(presets), tried], sort_keys=True)
    return "backfill-" + hashlib.sha256(content.encode()).hexdigest()


def outcomes_of(task: Task, job: Mapping[str, Any]) -> list[Outcome]:
    """Return how each preset of an ended job ended, with the digest that it was really made with."""
    return [_outcome(name, digest, job) for name, digest in task.presets.items()]


def refused(task: Task, code: str, message: str) -> list[Outcome]:
    """Return the outcomes of a picture for which no job was accepted."""
    return [Outcome(preset=name, digest=digest, code=code, message=message) for name, digest in task.presets.items()]


def _attempts(digest: str, made: Made | None) -> int:
    return made.attempts if made is not None and made.digest == digest else 0


def _outcome(name: str, digest: str, job: Mapping[str, Any]) -> Outcome:
    rendition = job.get("results", {}).get(name, {})
    digest = rendition.get("preset", {}).get("digest", digest)
    if "result" in rendition:
        return Outcome(preset=name, digest=digest, result=rendition["result"]["storage_key"])
    error = rendition.get("error") or job.get("error") or {}
    code, message = str(error.get("code", "job.failed")), str(error.get("message", ""))
    return Outcome(preset=name, digest=digest, code=code, message=message)
