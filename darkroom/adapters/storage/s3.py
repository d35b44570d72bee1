"""Pictures in any S3 server, with plain calls only.

Pictures go through obstore, whose requests are signed, sent and read by Rust's object_store: a third of botocore's CPU
time for a picture, a tenth for a small result, and none of its imports at a cold start. boto3 makes the bucket and its
lifecycle rule (`s3_bucket`), and botocore's signer signs URLs (`signing`). Pictures that are stored while they come
are sent by `s3_multipart`.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from darkroom.adapters.storage import (
    LISTED_AT_ONCE,
    ListedObject,
    ObjectInfo,
    SignedRequest,
    StreamedPut,
    upload_headers,
)
from darkroom.adapters.storage.retention import StorageRetention
from darkroom.adapters.storage.rules import attachment, check_key, check_lifetime, check_prefix, not_found, too_large
from darkroom.adapters.storage.signing import Signer
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import must_pass

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store
    from urllib3 import PoolManager

    from darkroom.adapters.storage.s3_erasing import S3Eraser

AnswerT = TypeVar("AnswerT")

DEFAULT_REGION = "us-east-1"
_MIB = 1024 * 1024
_BYTES_WITHIN_A_TIMEOUT = 8 * _MIB
_EMPTY_FOLDER = "health"
"""A folder that nobody writes to. Listing it checks the bucket and returns nothing."""
_RETRY_PAUSE_S = (0.05, 0.15)
"""The range of the pause before the one retry, drawn evenly, so that callers refused together do not retry together."""


class S3Storage:
    """Safe to share between threads. Nothing is imported or connected before the first call, so one can be made in a
    process that forks later; so can its client (`warm`), which starts its threads with its first call.

    A call that storage refused temporarily is retried once, unless the refusal itself took `retry_within_s`. A call
    ends after about 7 s at worst (2 + 0.15 + 1 + 4), which is within a job's lease. Bodies over 8 MiB get as much again
    for each further 8 MiB.
    """

    def __init__(
        self,
        *,
        endpoint: str | None,
        public_endpoint: str | None,
        access_key: str,
        secret_key: str,
        bucket: str,
        region: str = DEFAULT_REGION,
        allowed_origins: Collection[str] = (),
        retention: StorageRetention | None = None,
        connect_timeout_s: float = 1.0,
        read_timeout_s: float = 4.0,
        retry_within_s: float = 2.0,
    ) -> None:
        """Prepare the storage; connects to nothing.

        `endpoint` None means AWS. `public_endpoint` None: clients reach storage at the same address as we do.
        `allowed_origins` are those of web pages that may use signed URLs, `retention` is how long objects are
        kept; only `prepare` needs them.
        """
        self._endpoint = endpoint
        self._access_key = access_key
        self._secret_key = secret_key
        self._bucket = bucket
        self._region = region
        self._allowed_origins = allowed_origins
        self._retention = retention or StorageRetention()
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retry_within_s = retry_within_s
        own_endpoint = endpoint or f"https://s3.{region}.amazonaws.com"
        self._own_signer = Signer(endpoint=own_endpoint, access_key=access_key, secret_key=secret_key, region=region)
        """For requests that we send ourselves."""
        self._signer = replace(self._own_signer, endpoint=public_endpoint or own_endpoint)
        self._http: PoolManager | None = None
        """Connections of uploads in parts, made with the first."""
        self._lock = threading.Lock()
        self._clients: dict[int, S3Store] = {}
        """By the multiple of the read timeout that they allow."""

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        check_key(key)
        attributes = {"Content-Type": content_type, **(metadata or {})}
        # The library counts the sending towards the time within which a response must begin.
        client = self._client(timeouts=1 + len(body) // _BYTES_WITHIN_A_TIMEOUT)
        self._ask("PutObject", lambda: client.put(key, body, attributes=attributes, use_multipart=False))

    def begin_put(self, key: str, *, content_type: str) -> StreamedPut:
        from darkroom.adapters.storage import s3_multipart

        check_key(key)
        with self._lock:
            if self._http is None:
                self._http = s3_multipart.pool(
                    connect_timeout_s=self._connect_timeout_s, read_timeout_s=self._read_timeout_s
                )
            http = self._http
        path = f"/{self._bucket}/{key}"
        return s3_multipart.S3StreamedPut(http, self._own_signer, path, content_type=content_type)

    def get(self, key: str, *, max_bytes: int) -> bytes:
        check_key(key)
        client = self._client()

        def read() -> bytes:
            answer = client.get(key)
            size_bytes = answer.meta["size"]
            if size_bytes > max_bytes:
                raise too_large(size_bytes, max_bytes)
            # Raises when the body ends early.
            return bytes(answer.bytes())

        body = self._ask_if_exists("GetObject", read)
        if body is None:
            raise not_found(key)
        return body

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        client = self._client()
        head = self._ask_if_exists("HeadObject", lambda: client.get(key, options={"head": True}))
        if head is None:
            return None
        metadata = {str(name): str(value) for name, value in head.attributes.items()}
        content_type = metadata.pop("Content-Type", "")
        return ObjectInfo(key=key, size_bytes=head.meta["size"], content_type=content_type, metadata=metadata)

    def pages(self, prefix: str, *, after: str = "") -> Iterator[Sequence[ListedObject]]:
        while page := self._ask("ListObjectsV2", partial(self._page, prefix, after)):
            yield page
            after = page[-1].key

    def _page(self, prefix: str, after: str) -> Sequence[ListedObject]:
        found = self._client().list(prefix, offset=after or None, chunk_size=LISTED_AT_ONCE)
        return [
            ListedObject(key=one["path"], size_bytes=one["size"], stored_at=one["last_modified"])
            for one in next(iter(found), ())
        ]

    def delete(self, key: str) -> None:
        check_key(key)
        client = self._client()
        self._ask_if_exists("DeleteObject", lambda: client.delete(key))

    def erase(self, key: str) -> int:
        check_key(key)
        return self._eraser.erase(key, lambda found: found == key)

    def erase_all(self, prefix: str) -> int:
        check_prefix(prefix)
        return self._eraser.erase(prefix, lambda found: found.startswith(prefix))

    @cached_property
    def _eraser(self) -> S3Eraser:
        from darkroom.adapters.storage.s3_erasing import S3Eraser

        return S3Eraser(
            self._bucket,
            endpoint=self._endpoint,
            access_key=self._access_key,
            secret_key=self._secret_key,
            region=self._region,
        )

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        forced = {
            "response-content-type": content_type,
            "response-content-disposition": attachment(filename),
        }
        return self._sign("GET", key, forced, {}, lifetime_s)

    def sign_upload(
        self, key: str, *, content_type: str, lifetime_s: int, size_bytes: int | None = None
    ) -> SignedRequest:
        return self._sign("PUT", key, {}, upload_headers(content_type, size_bytes), lifetime_s)

    def check(self) -> None:
        client = self._client()
        self._ask("ListObjectsV2", lambda: client.list_with_delimiter(_EMPTY_FOLDER))

    def prepare(self) -> None:
        from darkroom.adapters.storage import s3_bucket

        s3_bucket.prepare(
            self._bucket,
            endpoint=self._endpoint,
            access_key=self._access_key,
            secret_key=self._secret_key,
            region=self._region,
            allowed_origins=self._allowed_origins,
            retention=self._retention,
        )

    def warm(self) -> None:
        """Import obstore and make the client ahead of the first call. Connects to nothing and starts nothing."""
        self._client()

    def close(self) -> None:
        with self._lock:
            self._clients.clear()
            if self._http is not None:
                self._http.clear()

    def _sign(
        self, method: str, key: str, parameters: dict[str, str], headers: dict[str, str], lifetime_s: int
    ) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        signed = self._signer.sign(
            method, f"/{self._bucket}/{key}", parameters=parameters, headers=headers, lifetime_s=lifetime_s
        )
        return SignedRequest(method=method, url=signed.url, headers=headers, expires_at=signed.expires_at)

    def _ask_if_exists(self, operation: str, call: Callable[[], AnswerT]) -> AnswerT | None:
        """Return the result, or None if there is no such object. A missing bucket is an error."""

        def ask() -> AnswerT | None:
            try:
                return call()
            except FileNotFoundError as exc:
                if _Refusal(exc).code == "NoSuchBucket":
                    raise
                return None

        return self._ask(operation, ask)

    def _ask(self, operation: str, call: Callable[[], AnswerT]) -> AnswerT:
        """Run a call. Each may be sent twice, since the same key always gets the same bytes.

        Errors are reported by their kind alone; the library's texts contain addresses.
        """
        from obstore.exceptions import BaseError

        try:
            with _panics_translated(operation):
                return self._with_retry(call)
        except (BaseError, FileNotFoundError) as exc:
            raise DependencyUnavailableError("storage", f"{operation} {_Refusal(exc)}") from exc

    def _with_retry(self, call: Callable[[], AnswerT]) -> AnswerT:
        from obstore.exceptions import BaseError

        started = time.monotonic()
        try:
            return call()
        except BaseError as exc:
            if not _Refusal(exc).is_temporary or time.monotonic() - started >= self._retry_within_s:
                raise
        # Jitter needs no secrecy.
        time.sleep(random.uniform(*_RETRY_PAUSE_S))  # noqa: S311
        return call()

    def _client(self, *, timeouts: int = 1) -> S3Store:
        with self._lock:
            if timeouts not in self._clients:
                with _panics_translated("making the client"):
                    self._clients[timeouts] = self._make_client(self._read_timeout_s * timeouts)
            return self._clients[timeouts]

    def _make_client(self, read_timeout_s: float) -> S3Store:
        from obstore.store import S3Store

        config: S3Config = {
            "access_key_id": self._access_key,
            "secret_access_key": self._secret_key,
            "region": self._region,
            "virtual_hosted_style_request": False,
            # As AWS' own clients do over TLS. SHA-256 would protect an upload, but nothing protects a download.
            "unsigned_payload": True,
            # Delete one object at a time, so that a refusal is an HTTP status.
            "disable_bulk_delete": True,
        }
        if self._endpoint is not None:
            config["endpoint"] = self._endpoint
        return S3Store(
            self._bucket,
            config=config,
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=self._connect_timeout_s),
                "read_timeout": timedelta(seconds=read_timeout_s),
            },
            # We retry once ourselves: the library does not retry after a 429, nor a PUT that got no response.
            retry_config={"max_retries": 0},
        )


@contextmanager
def _panics_translated(operation: str) -> Iterator[None]:
    """Translate a panic of the library, which is no Exception (PyO3's PanicException), to our error."""
    try:
        yield
    except BaseException as exc:
        if isinstance(exc, Exception) or must_pass(exc):
            raise
        raise DependencyUnavailableError("storage", f"{operation} ended in {type(exc).__name__}") from exc


class _Refusal:
    """The response of storage, or the connection's error, parsed from the library's text, which is all it provides."""

    def __init__(self, exc: Exception) -> None:
        text = str(exc)
        status = re.search(r"status code: (\d{3})", text)
        code = re.search(r"<Code>(\w+)</Code>", text)
        kind = re.search(r"\bkind: (\w+)", text)
        self.status = 0 if status is None else int(status[1])
        self.code = "" if code is None else code[1]
        self._kind = "" if kind is None else kind[1]

    @property
    def is_temporary(self) -> bool:
        """Whether the same call may succeed a moment later: no response at all, or one that says so."""
        return self.status == 0 or self.status >= 500 or self.status == 429

    def __str__(self) -> str:
        if self.status:
            return f"was answered {self.status} {self.code}".rstrip()
        return _CONNECTION_ERRORS.get(self._kind, "got an invalid response")


_CONNECTION_ERRORS = {
    "Connect": "could not connect",
    "Timeout": "got no answer in time",
    "Interrupted": "was cut off",
    "Request": "was cut off",
}
"""By object_store's HttpErrorKind."""
