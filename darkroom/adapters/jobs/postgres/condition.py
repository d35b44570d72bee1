"""Reads how the store is doing. PostgreSQL has no limit of memory of its own; the disk is watched elsewhere."""

from __future__ import annotations

from darkroom.adapters.jobs.admission import BacklogLoad
from darkroom.adapters.jobs.condition import STRUCK_CODES, StoreCondition, was_struck
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.records import record_or_unreadable
from darkroom.contract.jobs import JobRecord

_STRUCK = """
SELECT to_jsonb(j) FROM darkroom.jobs AS j
WHERE attempts > 0 AND EXISTS (SELECT FROM jsonb_array_elements(history) AS h WHERE h ->> 3 = ANY(%s))
ORDER BY created DESC LIMIT %s
"""


def condition(connections: Connections, *, struck: int) -> StoreCondition:
    [(load,)] = connections.ask("SELECT darkroom.load_of(NULL)")
    rows = connections.ask(_STRUCK, (list(STRUCK_CODES), struck)) if struck else []
    found = (record_or_unreadable(row) for (row,) in rows)
    unfinished, ended, within_ms, oldest_age_ms = load
    return StoreCondition(
        used_bytes=0,
        max_bytes=0,
        load=BacklogLoad(
            unfinished=unfinished, ended=ended, within_s=within_ms / 1000, oldest_age_s=oldest_age_ms / 1000
        ),
        struck=tuple(record for record in found if isinstance(record, JobRecord) and was_struck(record)),
    )
