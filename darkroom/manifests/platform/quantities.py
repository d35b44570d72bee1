"""Kubernetes' quantities of memory and CPU."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)
_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{prefix: Decimal(1000) ** power for power, prefix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate(("K", "M", "G", "T", "P", "E"), start=1)},
}


def quantity(value: str | int | float) -> Decimal:
    """Parse a Kubernetes resource.Quantity such as `500m`, `2Gi` or `2`; raises ValueError."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"must be a quantity such as 500m or 2Gi, was {value!r}")
    unit = match["unit"]
    if unit is not None and unit[0] in "eE" and unit not in _UNITS:
        return Decimal(match["number"] + unit)
    return Decimal(match["number"]) * (_UNITS[unit] if unit else 1)
