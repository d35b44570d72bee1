"""The pages of jobs and dead letters in a console of this process, on adapters in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.applications import Starlette

from darkroom.adapters.deadletters import DeadLetter
from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import Entry, FileAudit
from darkroom.contract import events
from darkroom.contract.errors import DarkroomError, ImageCorruptError
from darkroom.events.cloudevents import json_object
from darkroom.imaging.photograph import make_photograph
from darkroom.job_console.log_lines import LogLine, LogLines
from darkroom.job_console.pages import JobPages
from darkroom.serving.testing import MemoryPipeline
from tests.console_actions import ask
from tests.stack import eventually

PICTURE = make_photograph(64, 48)


@dataclass(frozen=True)
class Console:
    application: Starlette
    pipeline: MemoryPipeline
    audit: FileAudit

    def text(self, path: str, **query: str) -> str:
        answer = ask(self.application, "GET", f"/console{path}", params=query or None)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def get(self, path: str) -> httpx.Response:
        return ask(self.application, "GET", f"/console{path}")

    def post(self, path: str, fields: Mapping[str, Any] | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return ask(self.application, "POST", f"/console{path}", content=urlencode(fields or {}), headers=headers)

    def latest(self) -> Entry:
        return self.audit.recent(1)[0]

    # --- jobs and letters --------------------------------------------------------------------------------------------

    def failed(self, error: DarkroomError | None = None, **changes: Any) -> UUID:
        """Make a job that failed at once."""
        job_id = self.pipeline.accept(picture=PICTURE, **changes)
        self.pipeline.jobs.fail(self.pipeline.claim(job_id), error or ImageCorruptError("its last rows are missing"))
        return job_id

    def give_up(self, job_id: UUID) -> None:
        """Keep the letter of a failed job."""
        record = self.pipeline.record(job_id)
        error = record.error
        assert error is not None
        letter = DeadLetter(
            reason=error.code,
            detail=error.message,
            event=json_object(events.requested(record, source="/test")),
            job_id=str(job_id),
            job_type=record.type,
            attempts=record.attempts,
            origin="recovery",
        )
        self.pipeline.dead_letters.keep(letter, key=str(uuid4()))

    def run_of(self, answer: httpx.Response) -> str:
        """Wait for the end of the run that an action has begun, and return its page."""
        assert answer.status_code == 303, answer.text
        path = answer.headers["location"].removeprefix("/console")

        def look() -> str | None:
            page = self.text(path)
            return None if 'data-state="running"' in page else page

        return eventually(look, within_s=60, what="the run ends")


def one_line(job_id: UUID) -> LogLines:
    line = LogLine(time="2026-01-01T10:00:00.000Z", process="resize", action="job.claimed", fields=f"id={job_id}")
    return LogLines(lines=(line,), is_cut=False)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    pipeline = MemoryPipeline("console", begins_at_s=time.time())
    audit = FileAudit(path=tmp_path / "audit.jsonl")
    pages = JobPages(pipeline.resources, read_log=one_line)
    application = console_application(access=Access(), audit=audit, pages=pages)
    yield Console(application=application, pipeline=pipeline, audit=audit)
    pages.close()
