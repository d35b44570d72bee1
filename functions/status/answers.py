"""Finds a job, waits for its end if asked to, and shows it with a signed URL."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from darkroom.contract.errors import FieldError, JobNotFoundError, ParametersInvalidError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.serving.asgi import in_thread
from darkroom.serving.resources import Resources

MAX_WAIT_S = 60.0


def job_id_of(text: str) -> UUID:
    """What is no job id names no job: the answer is the same as for an unknown one."""
    try:
        return UUID(text)
    except ValueError as exc:
        raise _not_found(text) from exc


def wait_s_of(query: Mapping[str, str]) -> float:
    """Seconds to wait, 0 without `wait`; raises ParametersInvalidError."""
    errors = [FieldError(field=name[:80], message="unknown field") for name in query if name != "wait"]
    wait_s = 0.0
    try:
        wait_s = float(query.get("wait", "0"))
    except ValueError:
        errors.append(FieldError(field="wait", message="must be seconds", value=query["wait"][:80]))
    if not 0 <= wait_s <= MAX_WAIT_S:
        errors.append(
            FieldError(field="wait", message=f"must be 0 to {MAX_WAIT_S:g} seconds", value=query["wait"][:80])
        )
    if errors:
        raise ParametersInvalidError(errors)
    return wait_s


class JobAnswers:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def record(self, job_id: UUID, *, owner: str, wait_s: float = 0.0) -> JobRecord:
        """The owner's job; with `wait_s`, as soon as it is final or the time is up. Raises JobNotFoundError."""
        if wait_s == 0:
            return await self._find(job_id, owner)
        ends_at = time.monotonic() + wait_s
        async with self._resources.notices.watch(job_id) as watch:
            while True:
                record = await self._find(job_id, owner)
                left_s = ends_at - time.monotonic()
                if record.status.is_final or left_s <= 0:
                    return record
                await watch.changed(timeout_s=left_s)

    def view(self, record: JobRecord) -> dict[str, Any]:
        """The job as the API shows it, its result signed."""
        if record.status is not JobStatus.COMPLETED or record.result is None:
            return record.view()
        result = record.result
        extension = result.storage_key.rpartition(".")[2]
        signed = self._resources.storage.sign_download(
            result.storage_key,
            content_type=result.content_type,
            filename=f"{record.job_id}.{extension}",
            lifetime_s=round(self._resources.settings.url_lifetime_s),
        )
        return record.view(url=signed.url, url_expires_at=signed.expires_at)

    async def _find(self, job_id: UUID, owner: str) -> JobRecord:
        record = await in_thread(self._resources.jobs.get, job_id)
        if record is None or record.owner != owner:
            raise _not_found(str(job_id))
        return record


def _not_found(shown: str) -> JobNotFoundError:
    return JobNotFoundError(f"no job {shown[:64]!r}; jobs are kept for seven days after they end")
