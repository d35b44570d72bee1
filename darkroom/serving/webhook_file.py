"""The files of webhook endpoints and of their secrets: written by `darkroom webhooks`, read by `ingest` and `notify`.

Endpoints: JSON {"endpoints": [{"id", "key_id", "url", "events", "created_at", "revoked_at"}]}. `ingest` reads these.
Secrets: JSON {"secrets": {endpoint id: [{"secret", "valid_until"}]}}, the newest first. `notify` alone reads them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.contract.webhook_addresses import MAX_URL_CHARACTERS
from darkroom.contract.webhooks import ENDPOINT_ID, Endpoint

SECRET = r"whsec_[A-Za-z0-9+/]{32,88}={0,2}"  # noqa: S105


class WebhookFileError(Exception):
    """A file cannot be read or is not of its kind. The message names the file and the problem, never its content."""


@dataclass(frozen=True, kw_only=True)
class WebhookSecret:
    secret: str
    valid_until: datetime | None = None
    """None: until it is replaced."""

    def __repr__(self) -> str:
        return f"WebhookSecret(whsec_..., valid_until={self.valid_until})"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Endpoint(_Frozen):
    id: Annotated[str, Field(pattern=rf"^{ENDPOINT_ID}$")]
    key_id: Annotated[str, Field(pattern=r"^([0-9a-z]{12})?$")]
    url: Annotated[str, Field(max_length=MAX_URL_CHARACTERS)]
    events: Annotated[tuple[Literal["job.completed", "job.failed"], ...], Field(min_length=1, max_length=2)]
    created_at: datetime
    revoked_at: datetime | None = None


class _Endpoints(_Frozen):
    endpoints: list[_Endpoint]


class _Secret(_Frozen):
    secret: Annotated[str, Field(pattern=rf"^{SECRET}$")]
    valid_until: datetime | None = None


class _Secrets(_Frozen):
    secrets: dict[str, list[_Secret]]


DocumentT = TypeVar("DocumentT", bound=BaseModel)


def read_endpoints(path: Path) -> list[Endpoint]:
    """Read the endpoints; a file that does not exist has none. Raises WebhookFileError."""
    document = _read(path, _Endpoints, "webhook endpoints")
    return [] if document is None else [Endpoint(**entry.model_dump()) for entry in document.endpoints]


def read_secrets(path: Path) -> dict[str, list[WebhookSecret]]:
    """Read the secrets by endpoint; a file that does not exist has none. Raises WebhookFileError."""
    document = _read(path, _Secrets, "webhook secrets")
    if document is None:
        return {}
    return {
        endpoint_id: [WebhookSecret(**entry.model_dump()) for entry in entries]
        for endpoint_id, entries in document.secrets.items()
    }


def write_endpoints(path: Path, endpoints: Sequence[Endpoint]) -> None:
    """Replace the file atomically."""
    entries = [_Endpoint(**vars(endpoint)).model_dump(mode="json", exclude_defaults=True) for endpoint in endpoints]
    _write(path, {"endpoints": entries})


def write_secrets(path: Path, secrets: dict[str, list[WebhookSecret]]) -> None:
    """Replace the file atomically. Only its owner can read it."""
    by_endpoint = {
        endpoint_id: [_Secret(**vars(one)).model_dump(mode="json", exclude_defaults=True) for one in entries]
        for endpoint_id, entries in secrets.items()
    }
    _write(path, {"secrets": by_endpoint})


def _read(path: Path, model: type[DocumentT], what: str) -> DocumentT | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise WebhookFileError(f"{path}: {exc.strerror or type(exc).__name__}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WebhookFileError(f"{path}: not a file of {what}: {where or 'the document'}: {first['msg']}") from None


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
