"""Operators' keys: who may read the console's pages, and who may also act.

The file has their SHA-256 digests only: `{"keys": [{"name", "scope": "read" | "act", "sha256"}]}`. It is read again
when it changes, so a key that is removed is refused within a second.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Scope = Literal["read", "act"]

PREFIX = "dck_"
_LOOKED_AT_EVERY_S = 0.5


class KeyFileError(Exception):
    """The file cannot be read or is no file of operators' keys. The message never repeats its content."""


class OperatorKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scope: Scope
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: list[OperatorKey]


def new_key() -> str:
    """Return a new key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> list[OperatorKey]:
    """Read the keys. Raises KeyFileError."""
    try:
        return _File.model_validate_json(path.read_bytes()).keys
    except OSError as exc:
        raise KeyFileError(f"{path}: {exc.strerror or type(exc).__name__}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise KeyFileError(f"{path}: not a file of operators' keys: {where}: {first['msg']}") from None


@dataclass(kw_only=True)
class KeyFile:
    """The keys of a file, as it is now."""

    path: Path
    _keys: Sequence[OperatorKey] = ()
    _seen: tuple[int, int, int] | None = None
    _looked_at: float = field(default=float("-inf"))

    def named(self, name: str) -> OperatorKey | None:
        return next((key for key in self._current() if key.name == name), None)

    def find(self, key: str) -> OperatorKey | None:
        """Return the entry of a key; None for an unknown one. Raises KeyFileError."""
        wanted = digest(key)
        return next((each for each in self._current() if hmac.compare_digest(each.sha256, wanted)), None)

    def _current(self) -> Sequence[OperatorKey]:
        now = time.monotonic()
        if now - self._looked_at >= _LOOKED_AT_EVERY_S:
            version = self._version()
            if version != self._seen:
                self._keys, self._seen = read_keys(self.path), version
            self._looked_at = now
        return self._keys

    def _version(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self.path)
        except OSError as exc:
            raise KeyFileError(f"{self.path}: {exc.strerror or type(exc).__name__}") from exc
        return found.st_mtime_ns, found.st_size, found.st_ino
