"""How many function processes this machine carries at once. A cluster has nodes for that; here it is one number.

The autoscaler decides without knowing of it, as on the cluster; where it wants more than fits, this says so.
"""

from __future__ import annotations

import os
from typing import Protocol

PROCESSES_PER_CORE = 4


class Claimant(Protocol):
    """A pool, as the limit sees it."""

    @property
    def processes(self) -> int:
        """That run, in whatever state."""

    @property
    def reserved(self) -> int:
        """Its min-scale: these do not count."""

    def reconcile(self) -> None:
        """Start what is missing; called when another pool has given room back."""


class InstanceLimit:
    """At most `most` processes over all revisions, beyond their min-scale; each revision may always have one."""

    def __init__(self, most: int | None = None) -> None:
        self.most = PROCESSES_PER_CORE * (os.cpu_count() or 1) if most is None else most
        self._claimants: list[Claimant] = []

    def join(self, claimant: Claimant) -> None:
        self._claimants.append(claimant)

    def leave(self, claimant: Claimant) -> None:
        """A second time changes nothing."""
        if claimant in self._claimants:
            self._claimants.remove(claimant)

    @property
    def used(self) -> int:
        return sum(max(0, claimant.processes - claimant.reserved) for claimant in self._claimants)

    def allows_one_more(self, claimant: Claimant) -> bool:
        if claimant.processes < max(1, claimant.reserved):
            return True
        return self.used < self.most

    def room_was_made(self) -> None:
        """Who has the fewest processes may take first, so that a large revision does not starve a small one."""
        for claimant in sorted(self._claimants, key=lambda one: one.processes):
            claimant.reconcile()
