"""Signed uploads: a picture is uploaded straight to storage, and a later submission refers to it by its key."""

from __future__ import annotations

import uuid
from typing import Any

from darkroom.adapters.storage.rules import not_found
from darkroom.contract.jobs import timestamp
from darkroom.serving.auth import NOBODY
from darkroom.serving.resources import Resources
from functions.ingest.submission import Submission

UPLOAD_CONTENT_TYPE = "application/octet-stream"


def check_upload(submission: Submission, owner: str) -> None:
    """Check that the caller may use this upload. A key's holder reads only his own uploads; others appear not to exist.
    Where keys are off, all uploads have the same owner.

    Raises InputNotFoundError.
    """
    key = submission.storage_key
    if key is not None and owner != NOBODY and not key.startswith(_uploads_of(owner)):
        raise not_found(key)


def _uploads_of(owner: str) -> str:
    return "uploads/" if owner == NOBODY else f"uploads/{owner}/"


def signed_upload(resources: Resources, owner: str) -> dict[str, Any]:
    """Sign an upload to a new storage key. The lifecycle rule of `uploads/` expires uploads that no job uses."""
    storage_key = f"{_uploads_of(owner)}{uuid.uuid4()}/original"
    signed = resources.storage.sign_upload(
        storage_key, content_type=UPLOAD_CONTENT_TYPE, lifetime_s=round(resources.settings.url_lifetime_s)
    )
    return {
        "storage_key": storage_key,
        "upload": {
            "url": signed.url,
            "method": signed.method,
            "headers": dict(signed.headers),
            "expires_at": timestamp(signed.expires_at),
        },
    }
