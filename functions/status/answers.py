"""Finds a job, waits for its changes if requested, and shows it with a signed URL."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from darkroom.adapters.storage import SignedRequest
from darkroom.contract.errors import FieldError, JobUnreadableError, ParametersInvalidError
from darkroom.contract.job_details import details
from darkroom.contract.jobs import JobRecord, JobStatus, SignedUrl
from darkroom.contract.listing import MAX_WAIT_S
from darkroom.events import strict_json
from darkroom.serving.asgi import in_thread
from darkroom.serving.job_ids import job_not_found
from darkroom.serving.resources import Resources
from functions.status.following import JobFollower
from functions.status.listing import ListQuery, cursor_text
from functions.status.srcset import srcset

SRCSET = "srcset"
_QUERY = ("wait", "view")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
VIEWS_KEPT_S = 20.0
MAX_VIEWS_KEPT = 512
"""All clients that wait for one completion get the same view, signed once; the URL loses this much of its lifetime."""


class JobQuery(NamedTuple):
    """The query of a request for one job."""

    wait_s: float = 0.0
    is_srcset: bool = False


def job_query_of(pairs: Sequence[tuple[str, str]]) -> JobQuery:
    """Parse the query. Raises ParametersInvalidError, which lists every mistake."""
    errors = [FieldError(field=name[:80], message="unknown field") for name, _ in pairs if name not in _QUERY]
    views = [value for name, value in pairs if name == "view"]
    if views not in ([], [SRCSET]):
        errors.append(FieldError(field="view", message=f"must be {SRCSET}, given once", value=views[0][:80]))
    given = [value for name, value in pairs if name == "wait"]
    wait_s = 0.0
    if len(given) > 1:
        errors.append(FieldError(field="wait", message="given more than once"))
    elif given:
        wait_s = _seconds(given[0])
        if not 0 <= wait_s <= MAX_WAIT_S:
            errors.append(FieldError(field="wait", message=f"must be 0 to {MAX_WAIT_S:g} seconds", value=given[0][:80]))
    if errors:
        raise ParametersInvalidError(errors)
    return JobQuery(wait_s=wait_s, is_srcset=bool(views))


def _seconds(text: str) -> float:
    """Parse a plain number. Returns NaN, which is in no range, for other text."""
    return float(text) if len(text) < 40 and _NUMBER.fullmatch(text) else float("nan")


class JobAnswers:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._follower = JobFollower(resources)
        self._signs = False
        self._views: OrderedDict[UUID, tuple[float, bytes]] = OrderedDict()

    async def record(self, job_id: UUID, *, owner: str, wait_s: float = 0.0) -> JobRecord:
        """Return the owner's job; with `wait_s`, as soon as it is final or the time is up.

        Raises JobNotFoundError, and JobUnreadableError at once, also in the middle of a wait.
        """
        record = await self._find(job_id, owner)
        if wait_s == 0 or record.status.is_final:
            return record
        await self._be_ready_to_sign()
        ends_at = time.monotonic() + wait_s
        async with self._follower.follow(job_id) as following:
            number = following.number
            record = await self._find(job_id, owner)
            while not record.status.is_final and (left_s := ends_at - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    record = _owned(await following.next(after=number, timeout_s=left_s), job_id, owner)
                number = following.number
            return record

    async def changes(
        self, first: JobRecord, *, for_at_most_s: float, silence_s: float
    ) -> AsyncIterator[JobRecord | None]:
        """Yield the job as it is, then after each change, until it is final or the time is up; None for each
        `silence_s` without a change.
        """
        await self._be_ready_to_sign()
        ends_at = time.monotonic() + for_at_most_s
        async with self._follower.follow(first.job_id) as following:
            number = following.number
            shown = await self._find(first.job_id, first.owner)
            yield shown
            while not shown.status.is_final and (left_s := ends_at - time.monotonic()) > 0:
                try:
                    found = await following.next(after=number, timeout_s=min(left_s, silence_s))
                except TimeoutError:
                    yield None
                    continue
                number = following.number
                record = _owned(found, first.job_id, first.owner)
                if _is_news(record, shown):
                    shown = record
                    yield record

    async def view(self, record: JobRecord) -> bytes:
        """Return the job as the API shows it, with its result signed, as JSON without line breaks."""
        if record.status is not JobStatus.COMPLETED:
            if record.stored_results:
                await self._be_ready_to_sign()
            return strict_json.dump({**self._signed_view(record), **details(record, now=datetime.now(UTC))})
        now_s = time.monotonic()
        kept_until_s, view = self._views.get(record.job_id, (0.0, b""))
        if now_s >= kept_until_s:
            await self._be_ready_to_sign()
            # Signing is arithmetic of about a millisecond and no I/O, so it needs no thread.
            view = strict_json.dump({**self._signed_view(record), **details(record, now=datetime.now(UTC))})
            self._views[record.job_id] = (now_s + VIEWS_KEPT_S, view)
            self._views.move_to_end(record.job_id)
            if len(self._views) > MAX_VIEWS_KEPT:
                self._views.popitem(last=False)
        return view

    async def page(self, query: ListQuery, *, owner: str) -> dict[str, Any]:
        """Return a page of the owner's jobs, without signed URLs: those are for requests for one job."""
        page = await in_thread(
            self._resources.jobs.list_jobs,
            owner,
            status=query.status,
            job_type=query.job_type,
            limit=query.limit,
            after=query.after,
        )
        shown: dict[str, Any] = {"jobs": [record.view() for record in page.records]}
        return shown if page.next is None else {**shown, "next_cursor": cursor_text(page.next)}

    async def srcset(self, record: JobRecord) -> bytes:
        """Return the attributes of an `<img>` that shows the job's results, as JSON."""
        if record.stored_results:
            await self._be_ready_to_sign()
        return strict_json.dump(srcset(record, self._signed_urls(record)))

    def _signed_view(self, record: JobRecord) -> dict[str, Any]:
        return record.view(signed=self._signed_urls(record))

    def _signed_urls(self, record: JobRecord) -> dict[str, SignedUrl]:
        """Return signed URLs by the storage keys of what was made."""
        signed = {}
        for result in record.stored_results:
            filename = result.storage_key.removeprefix("processed/").replace("/", "-")
            found = self._sign(result.storage_key, result.content_type, filename)
            signed[result.storage_key] = SignedUrl(url=found.url, expires_at=found.expires_at)
        return signed

    async def _be_ready_to_sign(self) -> None:
        """Prepare the signer. The first signature imports and builds the S3 client, a third of a second, in a
        thread.
        """
        if self._signs:
            return
        await in_thread(self._sign, "processed/warm-up.jpg", "image/jpeg", "warm-up.jpg")
        self._signs = True

    def _sign(self, key: str, content_type: str, filename: str) -> SignedRequest:
        lifetime_s = round(self._resources.settings.url_lifetime_s)
        return self._resources.storage.sign_download(
            key, content_type=content_type, filename=filename, lifetime_s=lifetime_s
        )

    async def _find(self, job_id: UUID, owner: str) -> JobRecord:
        """Return the owner's job. Raises JobNotFoundError, and JobUnreadableError to the owner."""
        try:
            record = await self._resources.job_reader.get(job_id)
        except JobUnreadableError as exc:
            if exc.job.owner != owner:
                raise job_not_found(str(job_id)) from exc
            raise
        return _owned(record, job_id, owner)


def _is_news(record: JobRecord, shown: JobRecord) -> bool:
    """Return whether clients that follow the job are told: its status changed, an attempt or a rendition ended."""
    return (record.status, record.attempts, len(record.made)) != (shown.status, shown.attempts, len(shown.made))


def _owned(record: JobRecord | None, job_id: UUID, owner: str) -> JobRecord:
    """Return the record if it is the owner's. Another key's job appears not to exist."""
    if record is None or record.owner != owner:
        raise job_not_found(str(job_id))
    return record
