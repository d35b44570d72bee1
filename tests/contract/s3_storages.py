"""How the tests make an S3 storage for a server of theirs."""

from __future__ import annotations

from typing import Any

from botocore.session import Session

from darkroom.adapters.storage.s3 import S3Storage
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY

BUCKET = "pictures"


def s3_storage(url: str, **changes: Any) -> S3Storage:
    settings: dict[str, Any] = {
        "endpoint": url,
        "public_endpoint": None,
        "access_key": S3_ACCESS_KEY,
        "secret_key": S3_SECRET_KEY,
        "bucket": BUCKET,
    }
    return S3Storage(**{**settings, **changes})


def library_client(storage: S3Storage) -> Any:
    """Botocore's client for the same server: another's word on what lies there, and calls that ours does not have."""
    known = storage._find_credentials()
    return Session().create_client(
        "s3",
        endpoint_url=storage._endpoint,
        aws_access_key_id=known.access_key,
        aws_secret_access_key=known.secret_key,
        region_name=storage._region,
    )
