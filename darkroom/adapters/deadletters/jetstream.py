"""Dead letters in a JetStream stream. Its definition is a file of the deployment (`nats-eventing/`), not of this code.

nats-py needs an event loop, and the functions that keep dead letters have none, so the adapter runs one in its own
thread. It connects with the first call, and again with the next call after a connection broke.
"""

from __future__ import annotations

import asyncio
import copy
import ssl
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.adapters.deadletters import DeadLetter, KeptDeadLetter
from darkroom.adapters.deadletters.letters import decode, encode
from darkroom.adapters.deadletters.loop_thread import LoopThread
from darkroom.contract.errors import DependencyUnavailableError, InternalError
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.errors import describe
from darkroom.telemetry.jetstream import stream_readings
from darkroom.telemetry.metric import Readings

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext
    from nats.js.api import RawStreamMsg

AnswerT = TypeVar("AnswerT")

STREAM = "DARKROOM_DEAD_LETTERS"
SUBJECT = "darkroom.deadletters"
"""Followed by the job's type, or `event` where no job is known."""
_HEADERS_ROOM_BYTES = 1024
"""NATS counts a message's headers towards its maximum payload."""
_SCAN_DEADLINE_S = 20.0
"""A full stream of 64 MiB is read in less."""
_PING_INTERVAL_S = 5
"""A connection whose other end vanished silently is closed after three of these."""


class JetStreamDeadLetters:
    """Safe to share between threads. Nothing is imported, connected or started before the first call, so one can be
    made in a process that forks later.
    """

    def __init__(
        self,
        url: str,
        *,
        stream: str = STREAM,
        subject: str = SUBJECT,
        definition: Mapping[str, Any] | None = None,
        tls_folder: Path | None = None,
        deadline_s: float = 3.0,
        answer_timeout_s: float = 1.0,
    ) -> None:
        """Prepare the adapter; connects to nothing.

        `definition` is the stream's configuration in JetStream's API format (times in nanoseconds); only `prepare`
        needs it. `tls_folder` has ca.crt, tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted: the
        certificate authenticates us to a server that identifies its users by theirs. No call takes longer than
        `deadline_s`, except a list, whose entries have `answer_timeout_s` each.
        """
        self._url = url
        self._stream = stream
        self._subject = subject
        self._definition = definition
        self._tls_folder = tls_folder
        self._deadline_s = deadline_s
        self._answer_timeout_s = answer_timeout_s
        self._loop = LoopThread("deadletters")
        self._connecting: asyncio.Lock | None = None
        self._client: Client | None = None
        self._close_lock = threading.Lock()

    def keep(self, letter: DeadLetter, *, key: str) -> int:
        subject = f"{self._subject}.{letter.job_type or 'event'}"

        async def publish(js: JetStreamContext) -> int:
            body = encode(letter, max_bytes=self._max_payload_bytes() - _HEADERS_ROOM_BYTES)
            ack = await js.publish(
                subject, body, stream=self._stream, timeout=self._answer_timeout_s, headers={"Nats-Msg-Id": key}
            )
            return ack.seq

        return self._ask(publish)

    def list(self, *, limit: int = 100, after: int = 0) -> list[KeptDeadLetter]:
        async def read(js: JetStreamContext) -> list[KeptDeadLetter]:
            kept: list[KeptDeadLetter] = []
            sequence = after
            while len(kept) < limit and (found := await self._next(js, sequence + 1)) is not None:
                kept.append(found)
                sequence = found.sequence
            return kept

        return self._ask(read, deadline_s=self._deadline_s + limit * self._answer_timeout_s)

    def get(self, sequence: int) -> KeptDeadLetter | None:
        if sequence < 1:
            return None

        async def read(js: JetStreamContext) -> KeptDeadLetter | None:
            return await _read_message(js.get_msg(self._stream, sequence, direct=True))

        return self._ask(read)

    def drop(self, sequence: int) -> bool:
        async def delete(js: JetStreamContext) -> bool:
            if await _read_message(js.get_msg(self._stream, sequence, direct=True)) is None:
                return False
            return await _delete(js, self._stream, sequence)

        return sequence >= 1 and self._ask(delete)

    def erase(self, job_ids: Collection[str]) -> int:
        wanted = [job_id.encode() for job_id in job_ids]

        async def scan(js: JetStreamContext) -> int:
            sequence = erased = 0
            last = (await js.stream_info(self._stream)).state.last_seq
            while sequence < last and (found := await self._next_message(js, sequence + 1)) is not None:
                sequence = found.seq or last
                parts = (found.data or b"", repr(found.headers).encode())
                if any(job_id in part for job_id in wanted for part in parts):
                    # Overwritten with random bytes, unless it is asked not to be.
                    erased += await _delete(js, self._stream, sequence)
            return erased

        return self._ask(scan, deadline_s=_SCAN_DEADLINE_S)

    def prepare(self) -> None:
        if self._definition is None:
            raise InternalError("the dead-letter stream's definition was not handed in")
        definition = copy.deepcopy(dict(self._definition))

        async def make(js: JetStreamContext) -> None:
            from nats.js.api import StreamConfig
            from nats.js.errors import NotFoundError

            try:
                await js.stream_info(self._stream)
            except NotFoundError:
                await js.add_stream(StreamConfig.from_response({**definition, "name": self._stream}))

        self._ask(make)

    def readings(self) -> Readings:
        async def read(js: JetStreamContext) -> Readings:
            stream = await js.stream_info(self._stream)
            return {DEAD_LETTERS: {(): stream.state.messages}, **stream_readings([stream])}

        return self._ask(read)

    def check(self) -> None:
        async def look(js: JetStreamContext) -> None:
            await js.stream_info(self._stream)

        self._ask(look)

    def close(self) -> None:
        with self._close_lock:
            if self._client is not None:
                self._loop.run(self._client.close(), timeout_s=self._deadline_s)
            self._client = self._connecting = None
            self._loop.stop()

    async def _next(self, js: JetStreamContext, sequence: int) -> KeptDeadLetter | None:
        """Return the first entry from this sequence on."""
        return await _read_message(self._next_message(js, sequence))

    async def _next_message(self, js: JetStreamContext, sequence: int) -> RawStreamMsg | None:
        from nats.js.errors import NotFoundError

        try:
            return await js.get_msg(self._stream, sequence, subject=f"{self._subject}.>", direct=True, next=True)
        except NotFoundError:
            return None

    def _ask(
        self, call: Callable[[JetStreamContext], Awaitable[AnswerT]], *, deadline_s: float | None = None
    ) -> AnswerT:
        """Run a call. Each may be sent twice: a stored letter has a key, and all others are reads or deletions."""
        from nats.errors import Error

        try:
            return self._loop.run(self._connected_call(call), timeout_s=deadline_s or self._deadline_s)
        except (Error, OSError, TimeoutError) as exc:
            raise DependencyUnavailableError("deadletters", describe(exc)) from exc

    async def _connected_call(self, call: Callable[[JetStreamContext], Awaitable[AnswerT]]) -> AnswerT:
        from nats.errors import ConnectionClosedError

        try:
            return await call(await self._context())
        except ConnectionClosedError:
            # The server went away after the last call and may be back already.
            return await call(await self._context())

    async def _context(self) -> JetStreamContext:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                self._client = await self._connect()
        return self._client.jetstream(timeout=self._answer_timeout_s)

    async def _connect(self) -> Client:
        from nats.aio.client import Client

        client = Client()
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                # A broken connection stays broken, and the next call makes a new one: no background task of the library
                # retries, and nothing waits in its buffers.
                await client.connect(
                    self._url,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    ping_interval=_PING_INTERVAL_S,
                    error_cb=_ignore_error,
                    tls=None if self._tls_folder is None else _tls_context(self._tls_folder),
                )
        except BaseException:
            await client.close()
            raise
        return client

    def _max_payload_bytes(self) -> int:
        return self._client.max_payload if self._client is not None else 0


def _tls_context(folder: Path) -> ssl.SSLContext:
    """Read the certificates again for each connection, so that renewed ones are used."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


_NO_SUCH_SEQUENCE = 10043
"""JSSequenceNotFoundErrF in nats-server's errors.json."""


async def _delete(js: JetStreamContext, stream: str, sequence: int) -> bool:
    from nats.js.errors import APIError

    try:
        return await js.delete_msg(stream, sequence)
    except APIError as exc:
        if exc.err_code == _NO_SUCH_SEQUENCE:
            return False
        raise


async def _read_message(answer: Awaitable[RawStreamMsg | None]) -> KeptDeadLetter | None:
    from nats.js.errors import NotFoundError

    try:
        message = await answer
    except NotFoundError:
        return None
    if message is None:
        return None
    return KeptDeadLetter(
        sequence=message.seq or 0,
        kept_at=message.time or datetime.fromtimestamp(0, tz=UTC),
        letter=decode(message.data or b"{}"),
    )


async def _ignore_error(error: Exception) -> None:
    """Ignore the error, which the caller gets too. Without a callback the library writes every error to a log of its
    own.
    """
