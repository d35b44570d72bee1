"""Pictures in any S3 server, with plain calls only.

Botocore's client rather than boto3's session around it: the same calls for half the processor time at the cold start.
Signed URLs need its signer only (`signing`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.adapters.storage import ObjectInfo, SignedRequest
from darkroom.adapters.storage.rules import attachment, check_key, check_lifetime, not_found, too_large
from darkroom.adapters.storage.signing import Signer
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

Answer = TypeVar("Answer")

_CHUNK_BYTES = 1024 * 1024
_DEFAULT_REGION = "us-east-1"
UPLOADS_PREFIX = "uploads/"
UPLOADS_KEPT_DAYS = 8
"""A day longer than a job's record is kept after its end: until then it may be redriven. An upload that no job ever
followed goes the same way."""
_RETRY_PAUSE_S = (0.05, 0.15)
"""The one retry waits this long, drawn evenly: a crowd that was refused together does not come back together."""


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
        """`endpoint` None is AWS; `public_endpoint` None: clients reach storage under the same address as we do."""
        self._endpoint = endpoint
        self._access_key = access_key
        self._secret_key = secret_key
        self._bucket = bucket
        self._region = region
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._retry_within_s = retry_within_s
        self._signer = Signer(
            endpoint=public_endpoint or endpoint or f"https://s3.{region}.amazonaws.com",
            access_key=access_key,
            secret_key=secret_key,
            region=region,
        )
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    def put(self, key: str, body: bytes, *, content_type: str) -> None:
        check_key(key)
        self._ask(
            "PutObject",
            lambda s3: s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type),
        )

    def get(self, key: str, *, max_bytes: int) -> bytes:
        check_key(key)

        def read(s3: S3Client) -> bytes:
            return _read_body(s3.get_object(Bucket=self._bucket, Key=key), max_bytes)

        return self._ask("GetObject", read, key=key)

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        head = self._found("HeadObject", lambda s3: s3.head_object(Bucket=self._bucket, Key=key))
        if head is None:
            return None
        return ObjectInfo(key=key, size_bytes=head["ContentLength"], content_type=head["ContentType"])

    def delete(self, key: str) -> None:
        check_key(key)
        self._found("DeleteObject", lambda s3: s3.delete_object(Bucket=self._bucket, Key=key))

    def sign_download(self, key: str, *, content_type: str, filename: str, lifetime_s: int) -> SignedRequest:
        forced = {
            "response-content-type": content_type,
            "response-content-disposition": attachment(filename),
        }
        return self._sign("GET", key, forced, {}, lifetime_s)

    def sign_upload(self, key: str, *, content_type: str, lifetime_s: int) -> SignedRequest:
        return self._sign("PUT", key, {}, {"Content-Type": content_type}, lifetime_s)

    def check(self) -> None:
        self._ask("HeadBucket", lambda s3: s3.head_bucket(Bucket=self._bucket))

    def prepare(self) -> None:
        if self._found("HeadBucket", lambda s3: s3.head_bucket(Bucket=self._bucket)) is None:
            self._ask("CreateBucket", self._create_bucket)
        self._ask("PutBucketLifecycleConfiguration", self._expire_uploads)

    def warm(self) -> None:
        """Import the library and make the client ahead of the first call; connects to nothing."""
        self._connected()

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _expire_uploads(self, s3: S3Client) -> None:
        rule: Any = {
            "ID": "expire-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": UPLOADS_PREFIX},
            "Expiration": {"Days": UPLOADS_KEPT_DAYS},
        }
        s3.put_bucket_lifecycle_configuration(Bucket=self._bucket, LifecycleConfiguration={"Rules": [rule]})

    def _sign(
        self, method: str, key: str, parameters: dict[str, str], headers: dict[str, str], lifetime_s: int
    ) -> SignedRequest:
        check_key(key)
        check_lifetime(lifetime_s)
        signed = self._signer.sign(
            method, f"/{self._bucket}/{key}", parameters=parameters, headers=headers, lifetime_s=lifetime_s
        )
        return SignedRequest(method=method, url=signed.url, headers=headers, expires_at=signed.expires_at)

    def _create_bucket(self, s3: S3Client) -> None:
        from botocore.exceptions import ClientError

        elsewhere: Any = (
            {}
            if self._region == _DEFAULT_REGION
            else {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        )
        try:
            s3.create_bucket(Bucket=self._bucket, **elsewhere)
        except ClientError as exc:
            # Another process made it since we looked.
            if _code(exc.response) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def _found(self, operation: str, call: Callable[[S3Client], Answer]) -> Answer | None:
        """The answer, or None if there is no such thing."""
        from botocore.exceptions import ClientError

        def ask(s3: S3Client) -> Answer | None:
            try:
                return call(s3)
            except ClientError as exc:
                if _status(exc.response) == 404:
                    return None
                raise

        return self._ask(operation, ask)

    def _ask(self, operation: str, call: Callable[[S3Client], Answer], *, key: str | None = None) -> Answer:
        """Every call may be sent twice: the same key always gets the same bytes.

        Errors are told by their kind alone; the library's texts hold addresses, and could hold signatures.
        """
        client = self._connected()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._twice(call, client)
        except ClientError as exc:
            status, code = _status(exc.response), _code(exc.response)
            if key is not None and status == 404 and code != "NoSuchBucket":
                raise not_found(key) from exc
            raise DependencyUnavailableError("storage", f"{operation} was answered {status} {code}") from exc
        except BotoCoreError as exc:
            raise DependencyUnavailableError("storage", f"{operation} failed with {type(exc).__name__}") from exc

    def _twice(self, call: Callable[[S3Client], Answer], client: S3Client) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError

        started = time.monotonic()
        try:
            return call(client)
        except (ClientError, BotoCoreError) as exc:
            if not _may_pass(exc) or time.monotonic() - started >= self._retry_within_s:
                raise
        # Jitter needs no secrecy.
        time.sleep(random.uniform(*_RETRY_PAUSE_S))  # noqa: S311
        return call(client)

    def _connected(self) -> S3Client:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> S3Client:
        from botocore.config import Config
        from botocore.session import Session

        session = Session()
        session.register_component("data_loader", _loader())
        client: Any = session.create_client(
            "s3",
            endpoint_url=self._endpoint,
            aws_access_key_id=self._access_key,
            aws_secret_access_key=self._secret_key,
            region_name=self._region,
            config=Config(
                connect_timeout=self._connect_timeout_s,
                read_timeout=self._read_timeout_s,
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                parameter_validation=False,
            ),
        )
        s3: S3Client = client
        return s3


@cache
def _loader() -> Any:
    """Reads the description of S3 once a process, or once for all that are forked from it."""
    from botocore.loaders import Loader

    loader = Loader()
    # Else botocore looks through its folders of all 400 services, a third of what the client costs.
    loader.list_available_services = lambda type_name: ["s3"]
    return loader


def _read_body(answer: GetObjectOutputTypeDef, max_bytes: int) -> bytes:
    """The whole body, after its length has been held against the limit. Botocore raises when it ends early."""
    size_bytes = answer["ContentLength"]
    body = answer["Body"]
    if size_bytes > max_bytes:
        body.close()
        raise too_large(size_bytes, max_bytes)
    chunks = list(body.iter_chunks(_CHUNK_BYTES))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _may_pass(exc: Exception) -> bool:
    """Whether the same call may succeed a moment later: no answer at all, or one that says so."""
    response = getattr(exc, "response", None)
    return not isinstance(response, dict) or _status(response) >= 500 or _status(response) == 429


def _status(response: Any) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(response: Any) -> str:
    return str(response.get("Error", {}).get("Code", ""))
