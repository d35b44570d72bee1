"""Creates the bucket and its lifecycle rules with boto3, for `darkroom setup` and `darkroom up`.

Pictures do not pass through here (`s3`, on obstore), nor do signed URLs (`signing`, on botocore's signer). Users and
their policies are configured in the server (knative/components).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from darkroom.adapters.storage.retention import ORIGINALS, RESULTS, StorageRetention
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RULE_IDS = {ORIGINALS: "expire-uploads", RESULTS: "expire-results"}
ABANDONED_UPLOADS_KEPT_DAYS = 1
"""What is left of uploads in parts whose process was killed. Nobody can see it, but it takes space."""
_ABORT: Any = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABANDONED_UPLOADS_KEPT_DAYS}}
_ABORT_ALONE: Any = {"ID": "drop-abandoned-uploads", "Status": "Enabled", "Filter": {"Prefix": ORIGINALS}, **_ABORT}
_DEFAULT_REGION = "us-east-1"
"""S3 refuses a LocationConstraint that names this region."""


CORS_RULE = "darkroom-pages"
_CORS_KEPT_S = 600
_NOT_IMPLEMENTED = {"NotImplemented", "MethodNotAllowed", "501", "405"}


def prepare(
    bucket: str,
    *,
    endpoint: str | None,
    access_key: str,
    secret_key: str,
    region: str,
    allowed_origins: Collection[str] = (),
    retention: StorageRetention,
) -> None:
    """Create the bucket if it does not exist, its lifecycle rules, and the rule for pages of other origins. Idempotent.

    Raises DependencyUnavailableError, which reports errors by their kind alone: the library's texts contain addresses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    s3 = client(endpoint, access_key, secret_key, region)
    try:
        if not _is_there(s3, bucket):
            _create(s3, bucket, region)
        _expire_objects(s3, bucket, retention)
        if allowed_origins:
            _allow_pages(s3, bucket, allowed_origins)
    except ClientError as exc:
        refusal = f"{exc.operation_name} was answered {status_of(exc.response)} {code_of(exc.response)}"
        raise DependencyUnavailableError("storage", refusal) from exc
    except BotoCoreError as exc:
        raise DependencyUnavailableError("storage", f"preparing failed with {type(exc).__name__}") from exc
    finally:
        s3.close()


def client(endpoint: str | None, access_key: str, secret_key: str, region: str) -> S3Client:
    import boto3
    from botocore.config import Config

    # A session of its own: boto3's default one is shared by the process and not safe between threads.
    s3: S3Client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(
            connect_timeout=1,
            read_timeout=4,
            retries={"total_max_attempts": 3, "mode": "standard"},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return s3


def _is_there(s3: S3Client, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as exc:
        if status_of(exc.response) == 404:
            return False
        raise
    return True


def _create(s3: S3Client, bucket: str, region: str) -> None:
    from botocore.exceptions import ClientError

    elsewhere: Any = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **elsewhere)
    except ClientError as exc:
        # Another process created it since we checked.
        if code_of(exc.response) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


def _expire_objects(s3: S3Client, bucket: str, retention: StorageRetention) -> None:
    """Replace the bucket's rules by those that follow from the settings."""
    days = retention.days_by_prefix()
    rules = [_expiry(prefix, days[prefix]) for prefix in days]
    if ORIGINALS in days or not _is_taken(s3, bucket, [*rules, _ABORT_ALONE]):
        _put_rules(s3, bucket, rules)


def _put_rules(s3: S3Client, bucket: str, rules: list[Any]) -> None:
    if rules:
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    else:
        s3.delete_bucket_lifecycle(Bucket=bucket)


def _is_taken(s3: S3Client, bucket: str, rules: list[Any]) -> bool:
    """Put the rules if the server takes one that only drops abandoned uploads. MinIO, which drops them by itself,
    refuses it."""
    from botocore.exceptions import ClientError

    try:
        _put_rules(s3, bucket, rules)
    except ClientError as exc:
        if status_of(exc.response) != 400 and code_of(exc.response) not in _NOT_IMPLEMENTED:
            raise
        return False
    return True


def _expiry(prefix: str, days: int) -> Any:
    rule: Any = {
        "ID": _RULE_IDS[prefix],
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    }
    # In the same rule, since not every server takes one with nothing else in it.
    return {**rule, **_ABORT} if prefix == ORIGINALS else rule


def _allow_pages(s3: S3Client, bucket: str, origins: Collection[str]) -> None:
    """Let pages of these origins use signed URLs. Other rules of the bucket stay.

    MinIO has no such rules: its setting MINIO_API_CORS_ALLOW_ORIGIN answers for all buckets, and allows all by default.
    """
    from botocore.exceptions import ClientError

    rule: Any = {
        "ID": CORS_RULE,
        "AllowedOrigins": sorted(origins),
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": _CORS_KEPT_S,
    }
    try:
        others = [other for other in _cors_rules(s3, bucket) if other.get("ID") != CORS_RULE]
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule, *others]})
    except ClientError as exc:
        if code_of(exc.response) not in _NOT_IMPLEMENTED:
            raise


def _cors_rules(s3: S3Client, bucket: str) -> list[Any]:
    from botocore.exceptions import ClientError

    try:
        return list(s3.get_bucket_cors(Bucket=bucket)["CORSRules"])
    except ClientError as exc:
        if code_of(exc.response) == "NoSuchCORSConfiguration":
            return []
        raise


def status_of(response: Any) -> int:
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(response: Any) -> str:
    return str(response.get("Error", {}).get("Code", ""))
