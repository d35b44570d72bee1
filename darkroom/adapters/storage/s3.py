"""Pictures in any S3 server, with plain calls only: seven of them, signed by `sigv4`, sent by urllib3.

No SDK: for a job's three calls it takes 3.5 ms more of a processor (of 5.7), and a function's cold start waits for its
imports. What is given up is what no job needs: other addressing styles, redirects between regions, multipart uploads.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from darkroom.adapters.storage import ObjectInfo, SignedRequest, credentials, sigv4
from darkroom.adapters.storage.rules import attachment, check_key, check_lifetime, not_found, too_large
from darkroom.adapters.storage.signing import Signer
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

Answer = TypeVar("Answer")

_DEFAULT_REGION = "us-east-1"
_KEPT_CONNECTIONS = 16
_MAX_ERROR_BYTES = 16 * 1024
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UPLOADS_PREFIX = "uploads/"
UPLOADS_KEPT_DAYS = 8
"""A day longer than a job's record is kept after its end: until then it may be redriven. An upload that no job ever
followed goes the same way."""
_LIFECYCLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>
<ID>expire-uploads</ID><Filter><Prefix>{UPLOADS_PREFIX}</Prefix></Filter><Status>Enabled</Status>
<Expiration><Days>{UPLOADS_KEPT_DAYS}</Days></Expiration>
</Rule></LifecycleConfiguration>""".encode()
_RETRY_PAUSE_S = (0.05, 0.15)
"""The one retry waits this long, drawn evenly: a crowd that was refused together does not come back together."""


class _RefusedError(Exception):
    """Storage answered, and not with what was asked for."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One S3 operation; the bucket's path and the signature are added when it is sent."""

    operation: str
    method: str
    key: str = ""
    """Empty: the bucket itself."""
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] | None = None


class S3Storage:
    """Safe to share between threads. Nothing is imported or connected before the first call, so one can be made in a
    process that forks later.

    What storage refused for a moment is asked once more at once, unless the refusal itself took `retry_within_s`: a
    call ends after some 7 s at worst (2 + 0.15 + 1 + 4), inside a job's lease.
    """

    def __init__(
        self,
        *,
        endpoint: str | None,
        public_endpoint: str | None,
        access_key: str,
        secret_key: str,
        bucket: str,
        region: str = _DEFAULT_REGION,
        connect_timeout_s: float = 1.0,
        read_timeout_s: float = 4.0,
        retry_within_s: float = 2.0,
    ) -> None:
        """`endpoint` None is AWS; `public_endpoint` None: clients reach storage under the same address as we do.

        Without an access key AWS' own credentials are looked for.
        """
        self._endpoint = endpoint or f"https://s3.{region}.amazonaws.com"
        self._host = sigv4.host_of(self._endpoint)
        self._find_credentials = (
            credentials.fixed(access_key, secret_key) if access_key else credentials.of_the_environment()
        )
        self._bucket = bucket
        self._region = region
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retry_within_s = retry_within_s
        self._signer = Signer(
            endpoint=public_endpoint or self._endpoint, find_credentials=self._find_credentials, region=region
        )
        self._lock = threading.Lock()
        self._pool: HTTPConnectionPool | None = None

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        check_key(key)
        headers = {"content-type": content_type}
        self._ask(_Call(operation="PutObject", method="PUT", key=key, body=body, headers=headers), _nothing)

    def get(self, key: str, *, max_bytes: int) -> bytes:
        check_key(key)
        try:
            return self._ask(
                _Call(operation="GetObject", method="GET", key=key), lambda answer: _body(answer, max_bytes)
            )
        except DependencyUnavailableError as exc:
            if _is_missing(exc.__cause__):
                raise not_found(key) from exc
            raise

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)

        def read(answer: BaseHTTPResponse) -> ObjectInfo:
            return ObjectInfo(
                key=key,
                size_bytes=int(answer.headers.get("content-length", "0")),
                content_type=answer.headers.get("content-type", ""),
            )

        return self._found(_Call(operation="HeadObject", method="HEAD", key=key), read)

    def delete(self, key: str) -> None:
        check_key(key)
        self._found(_Call(operation="DeleteObject", method="DELETE", key=key), _nothing)

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        forced = {
            "response-content-type": content_type,
            "response-content-disposition": attachment(filename),
        }
        return self._sign("GET", key, forced, {}, lifetime_s)

    def sign_upload(self, key: str, *, content_type: str, lifetime_s: int) -> SignedRequest:
        return self._sign("PUT", key, {}, {"Content-Type": content_type}, lifetime_s)

    def check(self) -> None:
        self._ask(_Call(operation="HeadBucket", method="HEAD"), _nothing)

    def prepare(self) -> None:
        if self._found(_Call(operation="HeadBucket", method="HEAD"), lambda _answer: True) is None:
            self._create_bucket()
        md5 = base64.b64encode(hashlib.md5(_LIFECYCLE, usedforsecurity=False).digest()).decode()
        headers = {"content-md5": md5, "content-type": "application/xml"}
        self._ask(
            _Call(
                operation="PutBucketLifecycleConfiguration",
                method="PUT",
                query="lifecycle=",
                body=_LIFECYCLE,
                headers=headers,
            ),
            _nothing,
        )

    def warm(self) -> None:
        """Import the library ahead of the first call; connects to nothing."""
        self._connected()

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
            self._pool = None

    def _sign(
        self, method: str, key: str, parameters: dict[str, str], headers: dict[str, str], lifetime_s: int
    ) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        signed = self._signer.sign(
            method, f"/{self._bucket}/{key}", parameters=parameters, headers=headers, lifetime_s=lifetime_s
        )
        return SignedRequest(method=method, url=signed.url, headers=headers, expires_at=signed.expires_at)

    def _create_bucket(self) -> None:
        elsewhere = (
            b""
            if self._region == _DEFAULT_REGION
            else f"<CreateBucketConfiguration><LocationConstraint>{self._region}</LocationConstraint>"
            "</CreateBucketConfiguration>".encode()
        )
        try:
            self._ask(_Call(operation="CreateBucket", method="PUT", body=elsewhere), _nothing)
        except DependencyUnavailableError as exc:
            # Another process made it since we looked.
            cause = exc.__cause__
            if not isinstance(cause, _RefusedError) or cause.code not in {
                "BucketAlreadyOwnedByYou",
                "BucketAlreadyExists",
            }:
                raise

    def _found(self, call: _Call, read: Callable[[BaseHTTPResponse], Answer]) -> Answer | None:
        """What was read, or None if there is no such thing."""
        try:
            return self._ask(call, read)
        except DependencyUnavailableError as exc:
            if isinstance(exc.__cause__, _RefusedError) and exc.__cause__.status == 404:
                return None
            raise

    def _ask(self, call: _Call, read: Callable[[BaseHTTPResponse], Answer]) -> Answer:
        """Every call may be sent twice: the same key always gets the same bytes.

        Errors are told by their kind alone; the library's texts hold addresses, and could hold signatures.
        """
        from urllib3.exceptions import HTTPError

        try:
            return self._twice(call, read)
        except _RefusedError as exc:
            raise DependencyUnavailableError(
                "storage", f"{call.operation} was answered {exc.status} {exc.code}".rstrip()
            ) from exc
        except HTTPError as exc:
            raise DependencyUnavailableError("storage", f"{call.operation} failed with {type(exc).__name__}") from exc

    def _twice(self, call: _Call, read: Callable[[BaseHTTPResponse], Answer]) -> Answer:
        from urllib3.exceptions import HTTPError

        started = time.monotonic()
        try:
            return self._once(call, read)
        except (_RefusedError, HTTPError) as exc:
            if not _may_pass(exc) or time.monotonic() - started >= self._retry_within_s:
                raise
        # Jitter needs no secrecy.
        time.sleep(random.uniform(*_RETRY_PAUSE_S))  # noqa: S311
        return self._once(call, read)

    def _once(self, call: _Call, read: Callable[[BaseHTTPResponse], Answer]) -> Answer:
        answer = self._send(call)
        try:
            if not 200 <= answer.status < 300:
                raise _RefusedError(answer.status, _error_code(answer.read(_MAX_ERROR_BYTES)))
            return read(answer)
        except BaseException:
            answer.close()  # what of it is unread would come in the place of the next answer
            raise
        finally:
            answer.release_conn()

    def _send(self, call: _Call) -> BaseHTTPResponse:
        path = sigv4.encoded_path(f"/{self._bucket}/{call.key}" if call.key else f"/{self._bucket}")
        headers = sigv4.signed_headers(
            self._find_credentials(),
            method=call.method,
            host=self._host,
            path=path,
            query=call.query,
            headers=call.headers or {},
            payload=self._payload(call.body),
            region=self._region,
            now=datetime.now(UTC),
        )
        return self._connected().urlopen(
            call.method,
            f"{path}?{call.query}" if call.query else path,
            body=call.body or None,
            headers=headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _payload(self, body: bytes) -> str:
        """Over TLS the bytes are guarded already."""
        if not body:
            return _EMPTY_SHA256
        if self._endpoint.startswith("https://"):
            return sigv4.UNSIGNED_PAYLOAD
        return hashlib.sha256(body).hexdigest()

    def _connected(self) -> HTTPConnectionPool:
        with self._lock:
            if self._pool is None:
                from urllib3 import Timeout, connection_from_url

                self._pool = connection_from_url(
                    self._endpoint,
                    maxsize=_KEPT_CONNECTIONS,
                    timeout=Timeout(connect=self._connect_timeout_s, read=self._read_timeout_s),
                )
            return self._pool


def _body(answer: BaseHTTPResponse, max_bytes: int) -> bytes:
    """The whole body, after its length has been held against the limit. urllib3 raises when it ends early."""
    declared = answer.headers.get("content-length")
    if declared is None:
        raise _RefusedError(answer.status, "without a Content-Length")  # then nobody could tell half of it from all
    size_bytes = int(declared)
    if size_bytes > max_bytes:
        raise too_large(size_bytes, max_bytes)
    return answer.read()


def _nothing(answer: BaseHTTPResponse) -> None:
    """Read to its end, so that the connection is kept."""
    answer.read()


def _error_code(body: bytes) -> str:
    found = _ERROR_CODE.search(body)
    return found[1].decode() if found else ""


def _is_missing(cause: BaseException | None) -> bool:
    return isinstance(cause, _RefusedError) and cause.status == 404 and cause.code != "NoSuchBucket"


def _may_pass(exc: Exception) -> bool:
    """Whether the same call may succeed a moment later: no answer at all, or one that says so."""
    return not isinstance(exc, _RefusedError) or exc.status >= 500 or exc.status == 429
