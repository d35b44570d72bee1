"""Makes an S3 storage for a test's server."""

from __future__ import annotations

from typing import Any

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
