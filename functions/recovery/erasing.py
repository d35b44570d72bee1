"""Erases what is left of erased jobs outside of the job store: pictures, the keeper beside them, dead letters,
and what `darkroom up` keeps of their events.

The store hands out what is due. Everything here may be done twice and may stop anywhere: what is not reported as done
is handed out again.
"""

from __future__ import annotations

import time

from darkroom.adapters.jobs.erasing import Erasure
from darkroom.contract.jobs import keeper_key, results_prefix
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

ERASED_AT_ONCE = 50
"""Erasures that are handed out in one answer: their letters are found in one pass over the dead letters."""
ERASING_BUDGET_S = 15.0
"""The longest time in one sweep; what is left is handed out to the next."""

log = get_logger()


class Eraser:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def erase_due(self) -> None:
        """Erase what is due, until nothing is or the time is up. Raises DependencyUnavailableError."""
        ends_at = time.monotonic() + ERASING_BUDGET_S
        while time.monotonic() < ends_at and (due := self._resources.jobs.due_erasures(limit=ERASED_AT_ONCE)):
            self._erase_letters(due)
            self._erase_events(due)
            for erasure in due:
                if time.monotonic() >= ends_at:
                    return
                self._erase(erasure)

    def _erase_letters(self, due: list[Erasure]) -> None:
        job_ids = [str(erasure.job_id) for erasure in due if not erasure.only_results]
        if job_ids and (letters := self._resources.dead_letters.erase(job_ids)):
            log.info("deadletters.erased", letters=letters)

    def _erase_events(self, due: list[Erasure]) -> None:
        if job_ids := [str(erasure.job_id) for erasure in due if not erasure.only_results]:
            self._resources.event_records.forget(job_ids)

    def _erase(self, erasure: Erasure) -> None:
        storage = self._resources.storage
        objects = storage.erase_all(results_prefix(erasure.job_id))
        # Also that of a job that was only cancelled: restored, it would be done after all.
        objects += storage.erase(keeper_key(erasure.job_id))
        if erasure.original is not None:
            objects += storage.erase(erasure.original)
        self._resources.jobs.erasure_done(erasure)
        log.info("job.erased", job_id=str(erasure.job_id), objects=objects, only_results=erasure.only_results)
