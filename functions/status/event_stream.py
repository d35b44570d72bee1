"""A job's changes as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from darkroom.contract.errors import AuthInvalidError, JobNotFoundError, JobUnreadableError
from darkroom.contract.jobs import JobRecord
from darkroom.contract.listing import KEEP_ALIVE_S, MAX_STREAM_S, RECONNECT_MS
from darkroom.contract.unreadable import STATUS, UnreadableJob
from darkroom.events import strict_json
from darkroom.serving.revocation import Revocations
from functions.status.answers import JobAnswers

MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_LAST_WORD_S = 0.5
"""How long a client that does not read may hold back the stream's end."""
_COMMENT = b": still here\n\n"
"""Sent so that no proxy takes the silence for a dead connection."""


class EventStreamResponse(Response):
    """Like Starlette's StreamingResponse, without the cancel scopes, which would cost a thousand clients time at the
    moment when they are notified.
    """

    def __init__(self, answers: JobAnswers, first: JobRecord, revocations: Revocations) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers=HEADERS)
        self._owner = first.owner
        self._revocations = revocations
        del self.headers["content-length"]
        self._events = event_stream(answers, first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.current_task()
        listening = asyncio.create_task(_until_the_client_is_gone(receive))
        listening.add_done_callback(lambda done: None if done.cancelled() or sending is None else sending.cancel())
        try:
            with suppress(AuthInvalidError):
                async with self._revocations.watch(self._owner):
                    async for event in self._events:
                        await send({"type": "http.response.body", "body": event, "more_body": True})
            async with asyncio.timeout(_LAST_WORD_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The client reads nothing, so it cannot be told. The server closes what is not complete.
            return
        except asyncio.CancelledError:
            if not listening.done():
                raise
        finally:
            listening.cancel()
            await self._events.aclose()


async def _until_the_client_is_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def event_stream(answers: JobAnswers, first: JobRecord) -> AsyncGenerator[bytes, None]:
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    try:
        async for record in answers.changes(first, for_at_most_s=MAX_STREAM_S, silence_s=KEEP_ALIVE_S):
            yield _COMMENT if record is None else _event(record, await answers.view(record))
    except JobUnreadableError as exc:
        yield _unreadable_event(exc.job)
    except JobNotFoundError:
        # It was erased, or has expired. A client that reconnects is told that there is no such job.
        return


def stream_of_unreadable(job: UnreadableJob) -> bytes:
    """Return the whole stream of a job whose record is of another version: one event, and the end."""
    return f"retry: {RECONNECT_MS}\n\n".encode() + _unreadable_event(job)


def _unreadable_event(job: UnreadableJob) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (STATUS.encode(), strict_json.dump(job.view()))


def _event(record: JobRecord, view: bytes) -> bytes:
    """Encode one event, named by the job's status. JSON without line breaks is one data line."""
    of_several = b"-%d" % len(record.made) if record.made else b""
    return b"event: %b\nid: %b-%d%b\ndata: %b\n\n" % (
        record.status.encode(),
        record.status.encode(),
        record.attempts,
        of_several,
        view,
    )
