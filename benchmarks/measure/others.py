"""How much of the machine others take during a measurement: with more than a few percent, it says little."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from benchmarks.measure.cpu_time import Family, machine_busy_s, spent_by_all


class Others:
    """All processes but the measured ones and this one, from now on."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families
        self._began = time.monotonic()
        self._before_s = self._spent_s()

    def cores(self) -> float:
        """Return how many cores they have used since."""
        return max(0.0, self._spent_s() - self._before_s) / (time.monotonic() - self._began)

    def _spent_s(self) -> float:
        own = os.times()
        return machine_busy_s() - spent_by_all(self._families).total_s - own.user - own.system
