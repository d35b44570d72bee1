"""Renews leases in a thread while the worker renders; this works because libvips releases the interpreter lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from darkroom.adapters.jobs import RENEW_EVERY_S, JobStore, Lease, Outcome
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.log import get_logger

log = get_logger()


@dataclass(eq=False)
class _Beat:
    lease: Lease
    due_at: float


class Heartbeat:
    """One thread for all jobs of a process. It starts with the first job, so after the fork in gunicorn's worker. A job
    that ends before its first renewal costs nothing, not even a wake-up."""

    def __init__(self, jobs: JobStore, *, every_s: float = RENEW_EVERY_S) -> None:
        self._jobs = jobs
        self._every_s = every_s
        self._changed = threading.Condition()
        self._beats: list[_Beat] = []
        self._thread: threading.Thread | None = None
        self._is_parked = False

    @contextmanager
    def renewing(self, lease: Lease) -> Iterator[None]:
        """Renews the lease every few seconds until the block ends or the lease is lost."""
        beat = _Beat(lease, time.monotonic() + self._every_s)
        with self._changed:
            self._beats.append(beat)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)
                self._thread.start()
            elif self._is_parked:
                self._changed.notify()
        try:
            yield
        finally:
            # A renewal in progress may still wait for the store. It is harmless once the job has ended.
            self._drop(beat)

    def _drop(self, beat: _Beat) -> None:
        with self._changed:
            if beat in self._beats:
                self._beats.remove(beat)

    def _run(self) -> None:
        while True:
            beat = self._next_due()
            try:
                outcome = self._jobs.renew(beat.lease)
            except DependencyUnavailableError as exc:
                # The next beat tries again. If the lease runs out before that, the fence decides.
                log.warning("lease.renewal_failed", job_id=str(beat.lease.job_id), error=exc.detail)
                continue
            if outcome is Outcome.STALE and beat in self._beats:
                log.warning("lease.lost", job_id=str(beat.lease.job_id), fence=beat.lease.fence)
                self._drop(beat)

    def _next_due(self) -> _Beat:
        """Wait for the next due beat. A beat that is added during the wait is due later, so it need not end the
        wait."""
        with self._changed:
            while True:
                if not self._beats:
                    self._is_parked = True
                    self._changed.wait()
                    self._is_parked = False
                    continue
                beat = min(self._beats, key=lambda one: one.due_at)
                left_s = beat.due_at - time.monotonic()
                if left_s <= 0:
                    beat.due_at = time.monotonic() + self._every_s
                    return beat
                self._changed.wait(left_s)
