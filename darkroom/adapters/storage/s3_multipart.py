"""One object in S3 that is sent part by part, while its bytes come (S3's multipart upload).

object_store, through which all other pictures go, neither tells which parts have been sent nor abandons what it began
when its source fails. So the five requests are made here, with signed URLs, over urllib3.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from darkroom.adapters.storage.signing import Signer
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_SIGNED_FOR_S = 60
_UPLOAD_ID = re.compile(r"<UploadId>([^<]+)</UploadId>")
_ERROR_CODE = re.compile(r"<Code>(\w+)</Code>")
_RETRY_PAUSE_S = 0.1
_KEPT_CONNECTIONS = 8


def pool(*, connect_timeout_s: float, read_timeout_s: float) -> PoolManager:
    """Make the connections that all uploads of a storage share. Sending a part counts towards the connect timeout."""
    from urllib3 import PoolManager, Timeout

    timeout = Timeout(connect=max(connect_timeout_s, read_timeout_s), read=2 * read_timeout_s)
    return PoolManager(num_pools=1, maxsize=_KEPT_CONNECTIONS, retries=False, timeout=timeout)


class S3StreamedPut:
    """A `StreamedPut`. Each request is sent again once when storage refuses it temporarily."""

    def __init__(self, http: PoolManager, signer: Signer, path: str, *, content_type: str) -> None:
        """Begin the upload. `path` is /bucket/key. Raises DependencyUnavailableError."""
        self._http = http
        self._signer = signer
        self._path = path
        self._etags: list[str] = []
        self._is_over = False
        answer = self._ask("CreateMultipartUpload", "POST", {"uploads": ""}, headers={"Content-Type": content_type})
        found = _UPLOAD_ID.search(answer.data.decode("utf-8", "replace"))
        if found is None:
            raise DependencyUnavailableError("storage", "CreateMultipartUpload was answered without an upload's id")
        self._upload_id = found[1]

    def write(self, part: Sequence[bytes]) -> None:
        number = str(len(self._etags) + 1)
        answer = self._ask("UploadPart", "PUT", {"partNumber": number, "uploadId": self._upload_id}, body=part)
        self._etags.append(answer.headers.get("ETag", ""))

    def commit(self) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(self._etags, start=1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = self._ask("CompleteMultipartUpload", "POST", {"uploadId": self._upload_id}, body=body)
        # S3 may begin to answer before it is done, and tell of an error in the body of a 200.
        if (code := _code(answer)) or b"CompleteMultipartUploadResult" not in answer.data:
            raise DependencyUnavailableError("storage", f"CompleteMultipartUpload was answered 200 {code}".rstrip())
        self._is_over = True

    def abort(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._ask("AbortMultipartUpload", "DELETE", {"uploadId": self._upload_id}, missing_is_done=True)

    def _ask(
        self,
        operation: str,
        method: str,
        parameters: Mapping[str, str],
        *,
        body: bytes | Sequence[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        missing_is_done: bool = False,
    ) -> BaseHTTPResponse:
        """Send a request. Errors are reported by their kind alone; the library's texts contain addresses."""
        from urllib3.exceptions import HTTPError

        signed = dict(headers or {})
        # Pieces are sent as they are, neither joined nor chunked, where their length is given.
        size_bytes = len(body) if isinstance(body, bytes) else sum(map(len, body))
        sent = {**signed, "Content-Length": str(size_bytes)}
        refusal = ""
        for attempt in (1, 2):
            url = self._signer.sign(
                method, self._path, parameters=parameters, headers=signed, lifetime_s=_SIGNED_FOR_S
            ).url
            try:
                answer = self._http.request(method, url, body=body, headers=sent, redirect=False)
            except HTTPError as exc:
                refusal = f"failed with {type(exc).__name__}"
            else:
                if answer.status < 300 or (missing_is_done and answer.status == 404):
                    return answer
                refusal = f"was answered {answer.status} {_code(answer)}".rstrip()
                if answer.status < 500 and answer.status != 429:
                    break
            if attempt == 1:
                time.sleep(_RETRY_PAUSE_S)
        raise DependencyUnavailableError("storage", f"{operation} {refusal}")


def _code(answer: BaseHTTPResponse) -> str:
    found = _ERROR_CODE.search(answer.data.decode("utf-8", "replace"))
    return "" if found is None else found[1]
