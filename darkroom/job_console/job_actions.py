"""What an operator may do to a job: cancel it, erase it, have it done again with other parameters.

Cancelling and erasing are `darkroom.serving.endings`, as the API does them, for the job's own key: operators have none
of the owners' keys. A failed job is redriven under its own id; a completed one is asked of the API anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.client import AsyncClient, Stored
from darkroom.console.forms import form_of
from darkroom.console.shell import Attempt, Shell
from darkroom.contract.errors import JobFinalError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.job_console.edited_parameters import changes_of, edited
from darkroom.redriving.keeper_files import KeeperFiles
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select
from darkroom.serving.endings import JobEndings
from darkroom.serving.job_ids import job_id_of, job_not_found
from darkroom.serving.outbox import Outbox
from darkroom.serving.resources import Resources


class JobActions:
    def __init__(self, shell: Shell, resources: Resources, api: Callable[[], AsyncClient] | None) -> None:
        self._shell = shell
        self._resources = resources
        self._api = api
        self._endings = JobEndings(resources, Outbox(resources))

    async def cancel(self, request: Request, attempt: Attempt) -> Response:
        record = await self._record(request, attempt)
        await asyncio.to_thread(self._endings.cancel, record.job_id, owner=record.owner)
        return self._shell.redirect(f"/jobs/{record.job_id}")

    async def erase(self, request: Request, attempt: Attempt) -> Response:
        record = await self._record(request, attempt)
        await asyncio.to_thread(self._endings.erase, record.job_id, owner=record.owner)
        return self._shell.redirect("/jobs")

    async def retry(self, request: Request, attempt: Attempt) -> Response:
        """Have the job done again, with the parameters of the form. Raises ParametersInvalidError, JobFinalError."""
        record = await self._record(request, attempt)
        parameters = edited((await form_of(request)).get("parameters", ""))
        if record.status is JobStatus.FAILED:
            return await self._redrive(record, parameters, attempt)
        if record.status is JobStatus.COMPLETED:
            return await self._ask_anew(record, parameters, attempt)
        raise JobFinalError(f"the job is {record.status}: cancel it first, or wait for its end")

    async def _redrive(self, record: JobRecord, parameters: Mapping[str, Any], attempt: Attempt) -> Response:
        changes = changes_of(record, parameters)
        keepers = KeeperFiles(self._resources.storage)
        resources = self._resources
        redrive = Redrive(resources.jobs, resources.dead_letters, resources.emitter, keepers)
        attempt.details |= {"changes": changes} if changes else {}
        kept = await asyncio.to_thread(self._letter_of, record)
        done = await asyncio.to_thread(redrive.redrive_job, record.job_id, changes, kept=kept)
        attempt.details["result"] = done
        return self._shell.redirect(f"/jobs/{record.job_id}")

    def _letter_of(self, record: JobRecord) -> KeptDeadLetter | None:
        """Return the job's letter. One that failed at once has none, and that of a webhook is no end of the job."""
        letters = select(self._resources.dead_letters, Selection(job_id=str(record.job_id)))
        return next((kept for kept in letters if kept.letter.job_type), None)

    async def _ask_anew(self, record: JobRecord, parameters: Mapping[str, Any], attempt: Attempt) -> Response:
        asked = canonical_parameters(job_type_named(record.type).parse(dict(parameters)))
        if self._api is None:
            raise JobFinalError("the job has completed; to ask the API for another, set CONSOLE_API_URL")
        async with self._api() as api:
            job = await api.submit(Stored(record.storage_key), record.type, **asked)
        attempt.details["new_job"] = job.job_id
        return self._shell.redirect(f"/jobs/{job.job_id}")

    async def _record(self, request: Request, attempt: Attempt) -> JobRecord:
        job_id = job_id_of(request.path_params["job_id"])
        attempt.target = str(job_id)
        record = await asyncio.to_thread(self._resources.jobs.get, job_id)
        if record is None:
            raise job_not_found(str(job_id))
        attempt.details["key"] = record.owner or "none"
        return record
