"""JSON as RFC 8259 has it, read without Python's leniency: no member twice, no NaN, no endless depth."""

from __future__ import annotations

import json
from typing import Any


def load(body: bytes) -> Any:
    """Raises ValueError that says what is wrong."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise ValueError(f"not valid UTF-8 at byte {exc.start}") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc}") from exc


def dump(value: Any) -> bytes:
    """Compact. Raises ValueError for what JSON's escapes can say and UTF-8 cannot: half a surrogate pair."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise ValueError("holds half of a surrogate pair") from exc


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is there twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
