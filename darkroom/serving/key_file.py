"""The file of API keys (hashes only): written by `darkroom keys`, mounted from a Secret in a cluster, read by `auth`.

JSON: {"keys": [{"id", "sha256", "name", "created_at", "revoked_at"}]}. Revoked keys stay listed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.contract.api_keys import StoredKey

MAX_WEIGHT = 1000


class KeyFileError(Exception):
    """The file cannot be read or is not a key file. The message names the file and the problem, never its content."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-z]{12}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str = ""
    created_at: datetime
    revoked_at: datetime | None = None
    weight: Annotated[float, Field(gt=0, le=MAX_WEIGHT)] = 1.0


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: list[_Entry]


def read_key_file(path: Path) -> list[StoredKey]:
    """Read the keys. Raises KeyFileError."""
    try:
        document = _File.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise KeyFileError(f"{path}: {exc.strerror or type(exc).__name__}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise KeyFileError(f"{path}: not a file of API keys: {where or 'the document'}: {first['msg']}") from None
    return [StoredKey(**entry.model_dump()) for entry in document.keys]


def write_key_file(path: Path, keys: Sequence[StoredKey]) -> None:
    """Replace the file atomically: a concurrent reader sees the old file or the new one.

    Only its owner can read it, as can be said of a folder that is created for it.
    """
    entries = [_Entry(**vars(key)).model_dump(mode="json", exclude_defaults=True) for key in keys]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"keys": entries}, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
