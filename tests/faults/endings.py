"""What owners did with their jobs, and whether these ended so: a cancelled one fails, of an erased one nothing is left.

A job store that is lost takes cancellations and erasures along that recovery had not carried out (docs/operations.md).
These, and those of the last minute before, are left open: nothing is said of them but their number.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.faults.faulty_stack import FaultyStack
from tests.faults.scanning import scan

CARRIED_OUT_WITHIN_S = 60.0
_MOST_TRIES = 60
_PAUSE_S = 0.5


@dataclass
class Endings:
    faulty: FaultyStack
    cancelled: dict[str, float] = field(default_factory=dict)
    """When the answer said so, by the monotonic clock."""
    erased: dict[str, float] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    """Of these a request was sent whose answer was lost, or came from a proxy before ingest."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self, job_id: str) -> None:
        self._insist(job_id, "POST", f"/api/v1/jobs/{job_id}/cancel", done=200, into=self.cancelled)

    def erase(self, job_id: str) -> None:
        self._insist(job_id, "DELETE", f"/api/v1/jobs/{job_id}", done=204, into=self.erased)

    def _insist(self, job_id: str, method: str, path: str, *, done: int, into: dict[str, float]) -> None:
        """Ask until ingest has decided: done, final already, or unknown, as while the store is lost."""
        for _ in range(_MOST_TRIES):
            status = self._ask(method, path)
            with self._lock:
                if status == done:
                    into[job_id] = time.monotonic()
                if status in {done, 404, 409}:
                    return
                if status != 503:
                    self.unsure.add(job_id)
            time.sleep(_PAUSE_S)

    def _ask(self, method: str, path: str) -> int:
        try:
            return httpx.request(method, f"{self.faulty.stack.addresses['api']}{path}", timeout=15).status_code
        except httpx.HTTPError:
            return 0

    # --- the reckoning -----------------------------------------------------------------------------------------------

    def is_open(self, job_id: str) -> bool:
        """Return whether the store was lost before the job's ending was certainly carried out."""
        at = self.erased.get(job_id, self.cancelled.get(job_id))
        if at is None:
            return False
        later = [loss for loss in self.faulty.losses if loss.at > at]
        return any(job_id not in loss.erased or loss.at - at < CARRIED_OUT_WITHIN_S for loss in later)

    def may_be_gone(self, job_id: str) -> bool:
        """Return whether there need be no record: it was erased, or cancelled before the store was lost."""
        known = self.erased.keys() | self.unsure
        at = self.cancelled.get(job_id)
        return job_id in known or (at is not None and any(loss.at > at for loss in self.faulty.losses))

    def left_of_erased(self) -> list[str]:
        """Return each erased job of which something is found, anywhere in the stack, and where."""
        gone = [job_id for job_id in sorted(self.erased) if not self.is_open(job_id)]
        if not gone:
            return []
        seen = scan(self.faulty)
        if not seen.naming(gone):
            return []
        return [
            f"{job_id}: erased, and still in {', '.join(places)}"
            for job_id in gone
            if (places := seen.naming([job_id]))
        ]

    def settle(self, *, within_s: float) -> float:
        """Wait until nothing is left of erased jobs; seconds until then. What is left, the verdict calls stuck."""
        began = time.monotonic()
        while self.left_of_erased() and time.monotonic() - began < within_s:
            time.sleep(1)
        return time.monotonic() - began
