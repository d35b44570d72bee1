"""Reads JSON strictly by RFC 8259, without Python's leniency: no duplicate members, no NaN, limited depth."""

from __future__ import annotations

import json
from typing import Any


def load(body: bytes) -> Any:
    """Parse JSON; raises ValueError with what is wrong."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise ValueError(f"not valid UTF-8 at byte {exc.start}") from exc
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON: {exc}") from exc


def dump(value: Any) -> bytes:
    """Write compact JSON; raises ValueError for half a surrogate pair, which UTF-8 cannot encode."""
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
