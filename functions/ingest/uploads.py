"""Signed uploads: a picture straight to storage, and the job from it later by its key."""

from __future__ import annotations

import uuid
from typing import Any

from darkroom.contract.jobs import timestamp
from darkroom.serving.resources import Resources

UPLOAD_CONTENT_TYPE = "application/octet-stream"


def signed_upload(resources: Resources) -> dict[str, Any]:
    """A place of its own for each upload; the lifecycle rule of `uploads/` expires those that no job follows."""
    storage_key = f"uploads/{uuid.uuid4()}/original"
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
