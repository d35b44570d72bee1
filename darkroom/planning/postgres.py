"""What records cost on PostgreSQL's disk.

benchmarks/stores.py and benchmarks/postgres_scale.py measure them: they depend on what a job says, not on the machine.
"""

from __future__ import annotations

from darkroom.planning.demand import Demand
from darkroom.planning.workload import DAY_S

FINISHED_BYTES = 1_000
"""Of a resize of an upload: 820 in the table, and indexes of 120 when they are new, which grow by half."""
UNFINISHED_BYTES = 4_000
"""Not measured: with the earlier versions of its row that autovacuum has not removed yet."""
LOG_BYTES = 8 * 2**30
"""The write-ahead log's volume, whatever the load: it is recycled at each checkpoint."""
USE = 0.7
"""How full the disk may be."""


def finished_records(demand: Demand) -> float:
    """A day's partition is dropped when its last job is past its retention: one day more than they are kept."""
    return demand.workload.per_s * (demand.workload.kept_s + DAY_S)


def disk_bytes(demand: Demand) -> float:
    """Return the disk that the tables need; the log has a volume of its own."""
    records = finished_records(demand) * FINISHED_BYTES + demand.unfinished_records * UNFINISHED_BYTES
    return records / USE
