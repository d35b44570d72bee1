"""Sizes in bytes as Kubernetes writes them: `64Mi`, `2Gi`, `500M`, `1048576`."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|k|M|G|)", re.ASCII)


def parse_bytes(text: str) -> int:
    """Parse a Kubernetes quantity into bytes. Raises ValueError."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f'must be a size like "512Mi" or "2Gi", was {text!r}')
    return round(float(match[1]) * _UNITS[match[2]])
