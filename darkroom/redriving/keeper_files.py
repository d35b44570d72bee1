"""Rewrites a job's keeper in storage before its record gets other parameters, so that a restored job has them too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from darkroom.adapters.jobs import NewJob
from darkroom.adapters.jobs.keeper import (
    CONTENT_TYPE,
    MAX_BYTES,
    Keeper,
    KeeperUnreadableError,
    decode_keeper,
    encode_keeper,
)
from darkroom.adapters.storage import Storage
from darkroom.contract.errors import DependencyUnavailableError, InputNotFoundError
from darkroom.contract.jobs import JobRecord, keeper_key
from darkroom.contract.presets import PresetUse


class KeeperFiles:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def change(
        self,
        record: JobRecord,
        parameters: dict[str, Any],
        *,
        presets: Mapping[str, PresetUse] | None = None,
        changed: Collection[str] = (),
    ) -> None:
        """Write the parameters into the job's keeper, and the presets that still hold with them; `changed` are the
        renditions that they change. Raises DependencyUnavailableError.
        """
        key = keeper_key(record.job_id)
        keeper = self._read(record) or _of_record(record)
        new = replace(
            keeper,
            job=replace(keeper.job, parameters=parameters, presets=presets or {}),
            changed=tuple(sorted({*keeper.changed, *changed})),
        )
        self._storage.put(key, encode_keeper(new), content_type=CONTENT_TYPE)

    def _read(self, record: JobRecord) -> Keeper | None:
        """None: the job has none, as one that an earlier version accepted."""
        key = keeper_key(record.job_id)
        try:
            return decode_keeper(self._storage.get(key, max_bytes=MAX_BYTES), record.job_id)
        except InputNotFoundError:
            return None
        except KeeperUnreadableError as exc:
            raise DependencyUnavailableError("storage", f"{key} cannot be rewritten: {exc}") from exc


def _of_record(record: JobRecord) -> Keeper:
    """Make the keeper that the record allows: it does not say by which idempotency key its request is found."""
    job = NewJob(
        job_id=record.job_id,
        type=record.type,
        owner=record.owner,
        parameters=record.parameters,
        storage_key=record.storage_key,
        request_id=record.request_id,
        cost_class=record.cost_class,
        trace=record.trace,
        presets=record.presets,
    )
    return Keeper(job=job, created_at=record.created_at)
