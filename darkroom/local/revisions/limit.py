"""Limits the number of function processes on this machine. On a cluster the nodes do that; here it is one number.

The autoscaler does not know the limit, as on a cluster. If it wants more than the limit allows, that is reported.
"""

from __future__ import annotations

import os
from typing import Protocol

PROCESSES_PER_CORE = 4


class LimitedPool(Protocol):
    """A pool, as the limit sees it."""

    @property
    def processes(self) -> int:
        """Return the number of its processes, in any state."""

    @property
    def reserved(self) -> int:
        """Return its min-scale, which does not count towards the limit."""

    def reconcile(self) -> None:
        """Start missing instances; called when another pool has freed room."""


class InstanceLimit:
    """Allows at most `most` processes beyond min-scale over all revisions. Each revision may always have one."""

    def __init__(self, most: int | None = None) -> None:
        self.most = PROCESSES_PER_CORE * (os.cpu_count() or 1) if most is None else most
        self._pools: list[LimitedPool] = []

    def join(self, pool: LimitedPool) -> None:
        self._pools.append(pool)

    def leave(self, pool: LimitedPool) -> None:
        """Remove a pool. A second call has no effect."""
        if pool in self._pools:
            self._pools.remove(pool)

    @property
    def used(self) -> int:
        return sum(max(0, pool.processes - pool.reserved) for pool in self._pools)

    def allows_one_more(self, pool: LimitedPool) -> bool:
        if pool.processes < max(1, pool.reserved):
            return True
        return self.used < self.most

    def offer_room(self) -> None:
        """Offer freed room, first to the pools with the fewest processes, so that a large one does not starve them."""
        for pool in sorted(self._pools, key=lambda one: one.processes):
            pool.reconcile()
