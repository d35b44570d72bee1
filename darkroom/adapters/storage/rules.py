"""The checks that every storage makes before it acts: keys, lifetimes of signed requests, attachment file names."""

from __future__ import annotations

import re

from darkroom.adapters.storage import MAX_URL_LIFETIME_S
from darkroom.contract.errors import InputNotFoundError, InputTooLargeError, InternalError
from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN

_KEY = re.compile(STORAGE_KEY_PATTERN)
_UNSAFE_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]")
MAX_KEY_CHARACTERS = 512


def check_key(key: str) -> None:
    """Refuse a key outside the pattern. Callers have parsed their keys; this stops a bug of ours from leaving the
    bucket.
    """
    if len(key) > MAX_KEY_CHARACTERS or not _KEY.fullmatch(key):
        raise InternalError(f"not a storage key of at most {MAX_KEY_CHARACTERS} characters: {key[:80]!r}")


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that is not the beginning of keys: an empty one is that of everything."""
    check_key(prefix.rstrip("/"))


def check_lifetime(lifetime_s: int) -> None:
    if not 1 <= lifetime_s <= MAX_URL_LIFETIME_S:
        raise InternalError(f"a signed request lives 1 to {MAX_URL_LIFETIME_S} s, not {lifetime_s}")


def attachment(filename: str) -> str:
    """Return the Content-Disposition (RFC 6266) that makes a browser save the response instead of showing it."""
    return f'attachment; filename="{_UNSAFE_IN_FILE_NAMES.sub("_", filename)}"'


def not_found(key: str) -> InputNotFoundError:
    return InputNotFoundError(f"nothing is stored under {key}")


def too_large(size_bytes: int, max_bytes: int) -> InputTooLargeError:
    return InputTooLargeError(f"the stored object has {size_bytes} bytes, the limit is {max_bytes}")
