"""What storage shows of a job's results, for `darkroom restore`: one result, or the renditions that had been made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from darkroom.adapters.jobs.keeper import Keeper
from darkroom.adapters.jobs.result_metadata import described_result
from darkroom.adapters.storage import ListedObject, Storage
from darkroom.contract.errors import PictureError, RejectedError
from darkroom.contract.jobs import JobResult, rendition_names
from darkroom.contract.limits import Limits
from darkroom.imaging import probe

_RENDITION = re.compile(r".*/(?P<name>[a-z0-9_-]+)\.\w+")


def single_result(
    stored: Sequence[ListedObject], storage: Storage, limits: Limits
) -> tuple[JobResult, datetime] | tuple[None, None]:
    """Return the result of a job that has one, and when it was stored."""
    for one in stored:
        result = None if _RENDITION.fullmatch(one.key.partition("/")[2]) else _result(one, storage, limits)
        if result is not None:
            return result, one.stored_at
    return None, None


def made_renditions(
    stored: Sequence[ListedObject], keeper: Keeper, keeper_at: datetime, storage: Storage, limits: Limits
) -> tuple[Mapping[str, JobResult], datetime | None]:
    """Return the renditions that stand, by their names, and when the last was stored.

    One that was asked for anew, with other parameters, counts only if it was stored since.
    """
    newest = _newest(stored, rendition_names(keeper.job.parameters))
    valid = {name: one for name, one in newest.items() if name not in keeper.changed or one.stored_at >= keeper_at}
    results = {name: result for name, one in valid.items() if (result := _result(one, storage, limits)) is not None}
    return results, max((valid[name].stored_at for name in results), default=None)


def _newest(stored: Sequence[ListedObject], names: Sequence[str]) -> dict[str, ListedObject]:
    """Return for each rendition the object that was stored last: with other parameters, it may have another format."""
    found: dict[str, ListedObject] = {}
    for name, one in _named(stored):
        if name in names and (name not in found or one.stored_at > found[name].stored_at):
            found[name] = one
    return {name: found[name] for name in names if name in found}


def _named(stored: Sequence[ListedObject]) -> Iterator[tuple[str, ListedObject]]:
    for one in stored:
        if match := _RENDITION.fullmatch(one.key.partition("/")[2]):
            yield match["name"], one


def _result(stored: ListedObject, storage: Storage, limits: Limits) -> JobResult | None:
    """Return what the object says of itself, or what its header says. None: it is gone, or is no picture."""
    info = storage.info(stored.key)
    if info is None:
        return None
    described = described_result(info)
    if described is not None:
        return described
    try:
        facts = probe(storage.get(stored.key, max_bytes=info.size_bytes), limits, all_frames=False)
    except (RejectedError, PictureError):
        return None
    return JobResult(
        storage_key=stored.key,
        content_type=info.content_type,
        width=facts.width,
        height=facts.height,
        bytes=info.size_bytes,
    )
