"""What a queue's tables need now and then, done by whoever sweeps. None of it is urgent, nor may it delay a job."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.contract.errors import DependencyUnavailableError

EVERY_S = 60.0
_LOCK = 0x75706B70
"""An advisory lock: of several sweepers, one does it."""
_ANSWER_TIMEOUT_S = 30.0
_FOR_EVER = "100 years"


class Upkeep:
    """Adds up the counts, makes the next days' partitions, and removes what is past its retention."""

    def __init__(self, url: str, *, final_kept_s: float | None) -> None:
        self._connections = Connections(url, answer_timeout_s=_ANSWER_TIMEOUT_S)
        self._kept = _FOR_EVER if final_kept_s is None else f"{final_kept_s} seconds"
        self._lock = threading.Lock()
        self._due_s = 0.0

    def do_when_due(self) -> None:
        """Do all of it, if this process has not in the last minute. What fails is done the next time."""
        with self._lock:
            if time.monotonic() < self._due_s:
                return
            self._due_s = time.monotonic() + EVERY_S
        # A lock that another transaction has, or a server that is down: the sweep itself reports that.
        with suppress(DependencyUnavailableError):
            self.do()

    def do(self) -> None:
        """Do all of it now. Raises DependencyUnavailableError."""
        try:
            for statement in (
                "darkroom.add_up()",
                f"darkroom.remove_expired('{self._kept}')",
                "darkroom.make_partitions()",
                f"darkroom.drop_partitions('{self._kept}')",
            ):
                self._connections.ask(f"SELECT {statement} WHERE pg_try_advisory_xact_lock({_LOCK})")
        finally:
            self._connections.close()
