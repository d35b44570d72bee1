"""Signed uploads: a picture is uploaded straight to storage, and a later submission refers to it by its key."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from darkroom.adapters.storage.rules import not_found
from darkroom.contract.errors import FieldError, InputTooLargeError, ParametersInvalidError
from darkroom.contract.jobs import timestamp
from darkroom.contract.parameters.parsing import field_errors, whole
from darkroom.events import strict_json
from darkroom.serving.auth import NOBODY
from darkroom.serving.resources import Resources
from functions.ingest.submission import Submission

UPLOAD_CONTENT_TYPE = "application/octet-stream"


def check_upload(submission: Submission, owner: str, input_prefixes: tuple[str, ...] = ()) -> None:
    """Check that the caller may use these stored pictures: the original and its overlay.

    A key's holder reads only his own uploads, and what the operator opened to all by INPUT_PREFIXES; the rest appears
    not to exist. Where keys are off, all uploads have the same owner.

    Raises InputNotFoundError.
    """
    for key in submission.storage_keys:
        check_key(key, owner, input_prefixes)


def check_key(key: str, owner: str, input_prefixes: tuple[str, ...] = ()) -> None:
    """Check that the caller may use the picture at this storage key. Raises InputNotFoundError."""
    if owner != NOBODY and not key.startswith((_uploads_of(owner), *input_prefixes)):
        raise not_found(key)


def _uploads_of(owner: str) -> str:
    return "uploads/" if owner == NOBODY else f"uploads/{owner}/"


class _UploadRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: Annotated[int, Field(ge=1), BeforeValidator(whole)] | None = None


def declared_bytes(body: bytes, *, max_bytes: int) -> int | None:
    """Return the size of the picture that is to be uploaded; None if the request does not say. The body may be empty.

    Raises ParametersInvalidError and InputTooLargeError.
    """
    if not body:
        return None
    try:
        size_bytes = _UploadRequest.model_validate(strict_json.load(body)).bytes
    except ValidationError as exc:
        raise ParametersInvalidError(field_errors(exc)) from exc
    except ValueError as exc:
        raise ParametersInvalidError([FieldError(field="body", message=str(exc))]) from exc
    if size_bytes is not None and size_bytes > max_bytes:
        raise InputTooLargeError(f"the picture has {size_bytes} bytes, the limit is {max_bytes}")
    return size_bytes


def signed_upload(resources: Resources, owner: str, size_bytes: int | None) -> dict[str, Any]:
    """Sign an upload to a new storage key, of exactly `size_bytes` if that is known. What is uploaded cannot be
    replaced. The lifecycle rule of `uploads/` expires uploads that no job uses.
    """
    storage_key = f"{_uploads_of(owner)}{uuid.uuid4()}/original"
    signed = resources.storage.sign_upload(
        storage_key,
        content_type=UPLOAD_CONTENT_TYPE,
        lifetime_s=round(resources.settings.url_lifetime_s),
        size_bytes=size_bytes,
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
