"""Reads the forms that pages send, within limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_FORM_BYTES = 1024 * 1024
_KIND = "application/x-www-form-urlencoded"


class Form(Mapping[str, str]):
    """A form's fields. Of a field that is given more than once, `all` returns each value."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)


async def form_of(request: Request) -> Form:
    """Read a URL-encoded form. Raises HTTPException: 413 beyond MAX_FORM_BYTES, 415 for another media type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _KIND:
        raise HTTPException(415, f"forms are {_KIND}, this was {kind[:80] or 'of no type'}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, f"the form has more than {MAX_FORM_BYTES} bytes, the limit")
    return Form(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
