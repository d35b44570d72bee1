"""Signed URLs of files that the functions themselves serve, in the place of an S3 server's.

A URL is for one key and one method until it expires, with the content type, file name and size that it was signed for.
The signature is an HMAC-SHA256 over all of them (RFC 2104).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import quote, urlencode

from darkroom.contract.errors import SignatureInvalidError
from darkroom.contract.route_templates import FILES_PATH

_FIELDS = ("expires", "content_type", "filename", "bytes", "signature")


@dataclass(frozen=True, kw_only=True)
class FileGrant:
    """What one signed URL allows."""

    method: str
    key: str
    expires: int
    """Seconds since the epoch."""
    content_type: str
    filename: str = ""
    """The name under which a download is saved."""
    size_bytes: int | None = None
    """The size that an upload must have; None: any within the limit."""


@dataclass(frozen=True, kw_only=True)
class FileSigner:
    secret: bytes

    def __repr__(self) -> str:
        return "FileSigner(secret='***')"

    def path(self, grant: FileGrant) -> str:
        """Return the URL's path and query."""
        query = {"expires": grant.expires, "content_type": grant.content_type}
        if grant.filename:
            query["filename"] = grant.filename
        if grant.size_bytes is not None:
            query["bytes"] = grant.size_bytes
        query["signature"] = self._signature(grant)
        return f"{FILES_PATH}/{quote(grant.key, safe='/-._~')}?{urlencode(query)}"

    def verified(self, method: str, key: str, query: Sequence[tuple[str, str]], *, now_s: float) -> FileGrant:
        """Return what the URL of a request allows. Raises SignatureInvalidError."""
        fields = dict(query)
        if len(fields) != len(query) or not fields.keys() <= set(_FIELDS):
            raise SignatureInvalidError("the signed URL has other parameters than it was made with")
        grant = FileGrant(
            method=method,
            key=key,
            expires=_whole(fields.get("expires", "")) or 0,
            content_type=fields.get("content_type", ""),
            filename=fields.get("filename", ""),
            size_bytes=_whole(fields["bytes"]) if "bytes" in fields else None,
        )
        given = fields.get("signature", "")
        if not hmac.compare_digest(self._signature(grant).encode(), given.encode("utf-8", "replace")):
            raise SignatureInvalidError("the URL's signature is not for this method, key and parameters")
        if now_s >= grant.expires:
            raise SignatureInvalidError(f"the signed URL expired {now_s - grant.expires:.0f} s ago; request a new one")
        return grant

    def _signature(self, grant: FileGrant) -> str:
        signed = json.dumps(["darkroom-file-v1", asdict(grant)], sort_keys=True).encode()
        return hmac.new(self.secret, signed, hashlib.sha256).hexdigest()


def _whole(text: str) -> int | None:
    """Return a whole number as it was written into a URL; None for other text, which no signature is made for."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 and str(int(text)) == text else None
