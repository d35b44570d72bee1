"""The prefixes of storage keys that an operator opens to all API keys, beside each key's own uploads."""

from __future__ import annotations

import re

from darkroom.contract.parameters.values import STORAGE_KEY_PATTERN

_KEY = re.compile(STORAGE_KEY_PATTERN)
_MAX_CHARACTERS = 400
_OURS = ("uploads/", "processed/")
"""Uploads and results belong to the API key that made them, and expire."""


def parse_input_prefixes(text: str) -> tuple[str, ...]:
    """Parse prefixes that are separated by commas, each of which ends in `/`. Raises ValueError."""
    if text.strip() in {"", "off"}:
        return ()
    return tuple(_checked(part.strip()) for part in text.split(","))


def _checked(prefix: str) -> str:
    shown = repr(prefix[:80])
    if not prefix.endswith("/") or len(prefix) > _MAX_CHARACTERS or not _KEY.fullmatch(prefix[:-1]):
        raise ValueError(
            f"must be prefixes such as library/, each a folder of plain segments that ends in /, at most "
            f"{_MAX_CHARACTERS} characters, was {shown}"
        )
    if prefix.startswith(_OURS):
        raise ValueError(f"cannot open {shown}: what is under {' and '.join(_OURS)} belongs to the key that made it")
    return prefix
