"""Keeps a lease alive while the worker renders: libvips releases the interpreter lock, so a thread can."""

from __future__ import annotations

import threading
from types import TracebackType

from darkroom.adapters.jobs import RENEW_EVERY_S, JobStore, Lease, Outcome
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.log import get_logger

log = get_logger()


class Heartbeat:
    """Renews the lease every few seconds until the block ends or the lease is lost."""

    def __init__(self, jobs: JobStore, lease: Lease, *, every_s: float = RENEW_EVERY_S) -> None:
        self._jobs = jobs
        self._lease = lease
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        # Not joined: a renewal under way may wait for the store, and is harmless once the job has ended.
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                outcome = self._jobs.renew(self._lease)
            except DependencyUnavailableError as exc:
                # The lease may run out; then the fence decides. The next beat tries again.
                log.warning("lease.renewal_failed", job_id=str(self._lease.job_id), error=exc.detail)
                continue
            if outcome is Outcome.STALE:
                if not self._stopped.is_set():
                    log.warning("lease.lost", job_id=str(self._lease.job_id), fence=self._lease.fence)
                return
