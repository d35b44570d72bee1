"""Signed uploads: a picture straight to storage, and the job from it later by its key."""

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
    """A key's holder reads his own uploads only; those of others are not there. Where keys are off, all are nobody's.

    Raises InputNotFoundError.
    """
    key = submission.storage_key
    if key is not None and owner != NOBODY and not key.startswith(_uploads_of(owner)):
        raise not_found(key)


def _uploads_of(owner: str) -> str:
    return "uploads/" if owner == NOBODY else f"uploads/{owner}/"


def signed_upload(resources: Resources, owner: str) -> dict[str, Any]:
    """A place of its own for each upload; the lifecycle rule of `uploads/` expires those that no job follows."""
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
