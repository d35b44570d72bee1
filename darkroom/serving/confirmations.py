"""Records in the jobs' records that the broker has their events: in batches, after the callers were answered.

Nothing waits for it. A claimed job needs no confirmation, since the claim shows that the broker had the event. If the
process dies first, recovery emits the event again, under the same id.
"""

from __future__ import annotations

import threading
import time
from uuid import UUID

from darkroom.adapters.jobs import UNEMITTED_JOBS_DUE_AFTER_S
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

GATHERED_FOR_S = UNEMITTED_JOBS_DUE_AFTER_S / 20
"""Long before the sweep would emit a job again."""

log = get_logger()


class Confirmations:
    """One thread per process, started with the first job: in gunicorn's worker, after the fork."""

    def __init__(self, resources: Resources, *, gathered_for_s: float = GATHERED_FOR_S) -> None:
        self._resources = resources
        self._gathered_for_s = gathered_for_s
        self._lock = threading.Lock()
        self._waiting: list[tuple[UUID, int]] = []
        self._is_any = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, job_id: UUID, emission: int) -> None:
        with self._lock:
            self._waiting.append((job_id, emission))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="confirmations", daemon=True)
                self._thread.start()
        self._is_any.set()

    def _run(self) -> None:
        while True:
            self._is_any.wait()
            time.sleep(self._gathered_for_s)
            self._is_any.clear()
            with self._lock:
                emissions, self._waiting = self._waiting, []
            try:
                self._resources.jobs.emitted_many(emissions)
            except DependencyUnavailableError as exc:
                log.warning("emissions.unconfirmed", jobs=len(emissions), error=exc.detail)
