"""Signed downloads, where the storage is a folder that the functions share (`STORAGE_TYPE=local`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from darkroom.adapters.storage.local import LocalStorage
from darkroom.adapters.storage.rules import attachment
from darkroom.serving.asgi import Endpoint, in_thread


def file_download(storage: LocalStorage) -> Endpoint:
    """Make the endpoint. The signature decides about content type and file name; the request has no say."""

    async def endpoint(request: Request) -> Response:
        key = request.path_params["key"]
        grant = storage.verified(request.method, key, request.query_params.multi_items())
        path = await in_thread(storage.file, key)
        headers = {"content-disposition": attachment(grant.filename), "cache-control": "private, no-store"}
        return FileResponse(path, media_type=grant.content_type, headers=headers)

    return endpoint
