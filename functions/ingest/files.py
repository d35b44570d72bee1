"""Signed uploads, where the storage is a folder that the functions share (`STORAGE_TYPE=local`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from darkroom.adapters.storage.file_urls import FileGrant
from darkroom.adapters.storage.local import LocalStorage
from darkroom.contract.errors import InputTooLargeError, RequestTimeoutError, SignatureInvalidError
from darkroom.serving.asgi import Endpoint, in_thread
from darkroom.serving.auth import NOBODY
from functions.ingest.in_flight import BytesInFlight, Holding
from functions.ingest.reading import BODY_SILENCE_S


def file_upload(storage: LocalStorage, in_flight: BytesInFlight, *, max_bytes: int) -> Endpoint:
    """Make the endpoint. It streams the body to disk, and gives it its key once it is complete and as signed."""

    async def endpoint(request: Request) -> Response:
        key = request.path_params["key"]
        grant = storage.verified(request.method, key, request.query_params.multi_items())
        if request.headers.get("content-type", "") != grant.content_type:
            raise SignatureInvalidError(f"the URL was signed for Content-Type: {grant.content_type}")
        # The URL says who may upload here, not whose key signed it.
        with in_flight.holding(NOBODY) as holding, storage.incoming() as incoming:
            await _receive(request, grant, incoming, holding, max_bytes=max_bytes)
            await in_thread(storage.create, key, incoming, content_type=grant.content_type)
        return Response(status_code=200)

    return endpoint


async def _receive(request: Request, grant: FileGrant, incoming: Path, holding: Holding, *, max_bytes: int) -> None:
    """Write the body to the file. Raises InputTooLargeError, SignatureInvalidError, RequestTimeoutError and
    ServerBusyError.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        _check_size(int(declared[:16]), grant, max_bytes, is_whole=True)
    size_bytes = 0
    with await in_thread(incoming.open, "xb") as file:
        async for chunk in _chunks(request):
            size_bytes += len(chunk)
            _check_size(size_bytes, grant, max_bytes, is_whole=False)
            holding.take(len(chunk))
            await in_thread(file.write, chunk)
            holding.give_back(len(chunk))
    _check_size(size_bytes, grant, max_bytes, is_whole=True)


def _check_size(size_bytes: int, grant: FileGrant, max_bytes: int, *, is_whole: bool) -> None:
    if size_bytes > max_bytes:
        raise InputTooLargeError(f"the picture has {size_bytes} bytes or more, the limit is {max_bytes}")
    signed = grant.size_bytes
    if signed is not None and (size_bytes > signed or (is_whole and size_bytes != signed)):
        raise SignatureInvalidError(f"the URL was signed for {signed} bytes, the body has {size_bytes}")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the chunks. Raises RequestTimeoutError when nothing arrives for a while."""
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(BODY_SILENCE_S):
                chunk = await anext(chunks, None)
        except TimeoutError as exc:
            raise RequestTimeoutError(f"no byte of the body came for {BODY_SILENCE_S:g} s, the limit") from exc
        if chunk is None:
            return
        if chunk:
            yield chunk
