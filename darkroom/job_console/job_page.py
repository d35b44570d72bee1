"""The page of one job: what it is, what it waits for, its pictures, its timeline and its log lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from darkroom.adapters.jobs.owed import OwedState
from darkroom.console.runtime import RuntimeRefusedError, RuntimeUnavailableError
from darkroom.console.shell import Shell
from darkroom.console.streams import Update
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.job_details import details
from darkroom.contract.jobs import JobRecord
from darkroom.job_console.edited_parameters import parameters_text
from darkroom.job_console.log_lines import LogLines, ReadLogLines
from darkroom.job_console.pictures import ShownPicture, pictures_of
from darkroom.job_console.timeline import InstanceStart, timeline_chart
from darkroom.serving.job_ids import job_id_of, job_not_found
from darkroom.serving.resources import Resources

REFRESHED_EVERY_S = 1.0
_READY = "instance.ready"


class JobPage:
    def __init__(self, shell: Shell, resources: Resources, read_log: ReadLogLines | None, *, has_api: bool) -> None:
        self._shell = shell
        self._resources = resources
        self._read_log = read_log
        self._has_api = has_api

    async def show(self, request: Request) -> Response:
        """Show the job. Raises JobNotFoundError and DependencyUnavailableError."""
        try:
            record = await self._record(request)
        except JobUnreadableError as exc:
            return self._shell.page(request, "jobs/unreadable.html", title=f"Job {exc.job.job_id}", job=exc.job)
        (pictures, owed, log), starts = await asyncio.gather(
            asyncio.to_thread(self._parts, record), self._starts(record)
        )
        operator = self._shell.operator(request)
        return self._shell.page(
            request,
            "jobs/job.html",
            title=f"Job {str(record.job_id)[:8]}",
            image_sources={picture.origin for picture in pictures} - {""},
            **self._state(record, datetime.now(UTC), starts),
            pictures=pictures,
            owed=owed,
            log=log,
            has_log=self._read_log is not None,
            has_events=self._shell.runtime is not None,
            has_api=self._has_api,
            parameters=parameters_text(record),
            may_act=operator is not None and operator.may_act,
        )

    async def stream(self, request: Request) -> Response:
        """Follow the job until it is final."""
        record = await self._record(request)
        return self._shell.stream(request, self._changes(record))

    async def _changes(self, shown: JobRecord) -> AsyncGenerator[Update, None]:
        # What the page shows may be older than this: the job may have ended before the stream was opened.
        yield await self._update(shown)
        while not shown.status.is_final:
            await asyncio.sleep(REFRESHED_EVERY_S)
            record = await asyncio.to_thread(self._resources.jobs.get, shown.job_id)
            if record is None:
                return
            shown = record
            yield await self._update(shown)
        # An ended stream would be opened again and again.
        await asyncio.Event().wait()

    async def _update(self, record: JobRecord) -> Update:
        state = self._state(record, datetime.now(UTC), await self._starts(record))
        return Update(region="job-state", html=self._shell.fragment("jobs/job_state.html", **state))

    async def _record(self, request: Request) -> JobRecord:
        job_id = job_id_of(request.path_params["job_id"])
        record = await asyncio.to_thread(self._resources.jobs.get, job_id)
        if record is None:
            raise job_not_found(str(job_id))
        return record

    def _parts(self, record: JobRecord) -> tuple[Sequence[ShownPicture], Sequence[OwedState], LogLines | None]:
        log = None if self._read_log is None else self._read_log(record.job_id)
        return pictures_of(self._resources.storage, record), self._resources.jobs.owed.of_job(record.job_id), log

    def _state(self, record: JobRecord, now: datetime, starts: Sequence[InstanceStart]) -> dict[str, Any]:
        return {
            "record": record,
            "details": details(record, now=now),
            "chart": timeline_chart(record, now=now, starts=starts),
        }

    async def _starts(self, record: JobRecord) -> Sequence[InstanceStart]:
        """Return the starts of the function's instances since the job was accepted, where the runtime knows them."""
        if self._shell.runtime is None:
            return ()
        try:
            events = await self._shell.runtime.get("/events", action=_READY)
        except (RuntimeUnavailableError, RuntimeRefusedError):
            return ()  # The rest of the page does not need the runtime.
        names = {record.type, f"{record.type}-{record.cost_class}"}
        began = record.created_at.timestamp()
        return [
            InstanceStart(name=event["revision"], ready_at=event["at"], took_s=event["ready_s"] or 0.0)
            for event in events
            if event["action"] == _READY and event["at"] >= began and event["service"].rpartition("/")[2] in names
        ]
