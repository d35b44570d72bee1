"""Writes out the short records of ended jobs. lua/thinning.lua makes them and says how; nothing is lost in between."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

from darkroom.contract.jobs import original_key

_FINAL = {"completed", "failed"}
_COUNTED = ("attempts", "emissions", "fence")
_RESULT = ("storage_key", "content_type", "width", "height", "bytes", "placeholder")


def written_out(fields: dict[str, str], job_id: UUID) -> dict[str, str]:
    """Return the fields with their long names and values. Raises ValueError for what cannot be read."""
    f = dict(fields)
    if "p" in f:
        f["parameters"] = f.pop("p")
    if "h" in f:
        f["history"] = f.pop("h")
    if "r" in f:
        f["request_id"] = str(UUID(bytes=_bytes(f.pop("r"))))
    if "t" in f:
        ids = _bytes(f.pop("t")).hex()
        f["trace"] = f"00-{ids[:32]}-{ids[32:]}-01"
    if "o" in f:
        f["storage_key"] = original_key(job_id, f.pop("o"))
    if "m" in f:
        f["timings"] = json.dumps(_timings(f.pop("m")))
    if "e" in f:
        f["result"] = json.dumps(_result(f.pop("e"), job_id))
    if f.get("status") in _FINAL:
        for name in _COUNTED:
            f.setdefault(name, "1")
        _add_what_the_history_says(f)
    return f


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _timings(text: str) -> dict[str, int]:
    pairs = (stage.split(":") for stage in text.split(",") if stage)
    return {name: int(milliseconds) for name, milliseconds in pairs}


def _result(text: str, job_id: UUID) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, list):
        raise ValueError("its result is no JSON array")
    result = dict(zip(_RESULT, values, strict=False))
    if str(result["storage_key"]).startswith("."):
        result["storage_key"] = f"processed/{job_id}{result['storage_key']}"
    if "/" not in str(result["content_type"]):
        result["content_type"] = f"image/{result['content_type']}"
    return result


def _add_what_the_history_says(f: dict[str, str]) -> None:
    entries = f.get("history", "").split(";")[:-1]
    if not entries:
        return
    created_ms = int(f["created"])
    _, began_ms, *_ = entries[0].split(",")
    fence, _, ended_ms, _, worker, *_ = entries[-1].split(",")
    f.setdefault("started", str(created_ms + int(began_ms)))
    f.setdefault("finished", str(created_ms + int(ended_ms)))
    if fence == f["fence"]:
        f.setdefault("worker", worker)
