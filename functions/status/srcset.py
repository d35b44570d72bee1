"""The attributes of an `<img>` that shows a job's results: `GET /api/v1/jobs/{id}?view=srcset`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkroom.contract.jobs import JobRecord, JobResult, SignedUrl, timestamp

_SAME_SHAPE = 0.02
"""How much two results' aspect ratios may differ, relatively, because sides are whole pixels."""


def srcset(record: JobRecord, signed: Mapping[str, SignedUrl]) -> dict[str, Any]:
    """Return the attributes, from the results that are stored; none while there is no result.

    A browser chooses between candidates by their widths alone, so all have one shape: that of the most results, and of
    the widest where several shapes have as many.
    """
    shown: dict[str, Any] = {"job_id": str(record.job_id), "status": record.status.value}
    candidates = _candidates(record.stored_results)
    if not candidates:
        return shown
    widest = candidates[-1]
    urls = {result.storage_key: signed[result.storage_key] for result in candidates}
    return {
        **shown,
        "src": urls[widest.storage_key].url,
        "srcset": ", ".join(f"{urls[result.storage_key].url} {result.width}w" for result in candidates),
        "sizes": f"(max-width: {widest.width}px) 100vw, {widest.width}px",
        "width": widest.width,
        "height": widest.height,
        "expires_at": timestamp(min(url.expires_at for url in urls.values())),
    }


def _candidates(results: Sequence[JobResult]) -> list[JobResult]:
    """Return the results of one shape from narrow to wide; of several with one width, the one with the fewest bytes."""
    shapes: list[list[JobResult]] = []
    for result in sorted(results, key=lambda result: result.width, reverse=True):
        same = next((shape for shape in shapes if _is_alike(shape[0], result)), None)
        if same is None:
            shapes.append([result])
        else:
            same.append(result)
    if not shapes:
        return []
    chosen = max(shapes, key=lambda shape: (len(shape), shape[0].width))
    by_width: dict[int, JobResult] = {}
    for result in sorted(chosen, key=lambda result: (result.width, result.bytes)):
        by_width.setdefault(result.width, result)
    return list(by_width.values())


def _is_alike(one: JobResult, other: JobResult) -> bool:
    """Return whether two results have the same shape; a side of a small one may be off by a pixel."""
    tolerance = max(_SAME_SHAPE, 1 / min(other.width, other.height))
    return abs(one.width * other.height / (one.height * other.width) - 1) <= tolerance
