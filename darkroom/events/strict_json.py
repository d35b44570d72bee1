"""Reads and writes JSON strictly by RFC 8259, without Python's leniency: no duplicate members, no NaN or Infinity,
limited depth.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

_SHOWN_CHARACTERS = 40


def load(body: bytes) -> Any:
    """Parse JSON; raises ValueError with what is wrong."""
    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError as exc:
        raise ValueError(f"not valid UTF-8 at byte {exc.start}") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc}") from exc


def dump(value: Any) -> bytes:
    """Write compact JSON; raises ValueError for half a surrogate pair, which UTF-8 cannot encode, and for a float that
    is no JSON number.
    """
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as exc:
        raise ValueError("holds half of a surrogate pair") from exc


def finite(value: Any) -> Any:
    """Return a JSON value with null in the place of each float that is no JSON number."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(member) for name, member in value.items()}
    return [finite(member) for member in value] if isinstance(value, list | tuple) else value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _finite_float(text: str) -> float:
    """Parse a number. RFC 8259, section 6, leaves the range to us; Python would read 1e400 as Infinity."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text[:_SHOWN_CHARACTERS]} is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
