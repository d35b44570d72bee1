"""Takes in one picture while it comes: up to one part in memory, the rest judged and in storage already.

A picture of at most one part stays in memory, and is checked and stored as a whole, in one request. A larger one is
judged as it comes and sent to storage part by part, where nobody sees it before it is accepted. Whatever ends the
request before that (a refusal, a client that goes away, a storage that fails) leaves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from darkroom.adapters.storage import MIN_PART_BYTES, Storage, StreamedPut
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import original_key
from darkroom.contract.limits import Limits
from darkroom.imaging import Facts, StreamProbe
from darkroom.imaging.formats import TRAITS, sniff
from darkroom.serving.asgi import in_thread
from darkroom.serving.log import get_logger
from functions.ingest.in_flight import Holding

_HEAD_BYTES = 4096
"""Enough to know a format by."""

log = get_logger()


@dataclass(frozen=True, kw_only=True)
class StreamedPicture:
    """A picture that has come as a whole and lies in storage, where `upload.commit` makes it an object."""

    job_id: UUID
    storage_key: str
    facts: Facts
    upload: StreamedPut
    sha256: str | None
    """None where nothing identifies the request, so that nobody compares it."""


class PictureIntake:
    def __init__(self, storage: Storage, limits: Limits, holding: Holding, *, is_compared: bool) -> None:
        """Prepare. `is_compared`: the request has a name (an idempotency key), so the picture's digest is needed."""
        self._storage = storage
        self._holding = holding
        self._job_id = uuid4()
        self._probe = StreamProbe(limits, all_frames=False)
        self._digest = hashlib.sha256() if is_compared else None
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._storage_key = ""
        self._upload: StreamedPut | None = None

    def hold(self, chunk: bytes) -> None:
        """Take bytes that have come. Raises ServerBusyError and RateLimitedError."""
        self._holding.take(len(chunk))
        self._pieces.append(chunk)
        self._held_bytes += len(chunk)

    async def pass_on(self) -> None:
        """Send what is held to storage if it is a part. Raises what `StreamProbe` and `Storage` raise."""
        if self._held_bytes >= MIN_PART_BYTES:
            await self._send()

    async def finish(self) -> bytes | StreamedPicture:
        """Return the whole picture: its bytes, or what is in storage of it. Raises as `pass_on` does."""
        if self._upload is None:
            return b"".join(self._pieces)
        if self._held_bytes:
            await self._send()
        facts = await in_thread(self._probe.finish)
        return StreamedPicture(
            job_id=self._job_id,
            storage_key=self._storage_key,
            facts=facts,
            upload=self._upload,
            sha256=None if self._digest is None else self._digest.hexdigest(),
        )

    async def abandon(self) -> None:
        """Leave nothing behind, unless the picture was accepted meanwhile."""
        if self._upload is not None:
            try:
                await in_thread(self._upload.abort)
            except DependencyUnavailableError as exc:
                # The bucket's lifecycle rule drops it after a day.
                log.warning("upload.not_aborted", storage_key=self._storage_key, error=exc.detail)

    async def _send(self) -> None:
        part, size_bytes = self._pieces, self._held_bytes
        self._pieces, self._held_bytes = [], 0
        async with self._holding.sending:
            await in_thread(self._judge_and_store, part)
        self._holding.give_back(size_bytes)

    def _judge_and_store(self, part: list[bytes]) -> None:
        for piece in part:
            self._probe.feed(piece)
            if self._digest is not None:
                self._digest.update(piece)
        if self._upload is None:
            traits = TRAITS[sniff(_head(part))]
            self._storage_key = original_key(self._job_id, traits.extension)
            self._upload = self._storage.begin_put(self._storage_key, content_type=traits.content_type)
        self._upload.write(part)


def _head(part: Sequence[bytes]) -> bytes:
    """Return the beginning of a part; its pieces may be of any length."""
    head = bytearray()
    for piece in part:
        head += piece[:_HEAD_BYTES]
        if len(head) >= _HEAD_BYTES:
            break
    return bytes(head)
