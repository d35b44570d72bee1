"""Looks at the pipeline's parts, each by itself, so that one that hangs hides nothing of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from darkroom.adapters.deadletters import DeadLetters
from darkroom.adapters.jobs import JobStore
from darkroom.diagnosis import Finding
from darkroom.diagnosis.servers import is_up
from darkroom.job_diagnosis.attempts import struck_findings
from darkroom.job_diagnosis.key_files import key_findings
from darkroom.job_diagnosis.lanes import lane_findings
from darkroom.job_diagnosis.letters import LetterLook
from darkroom.job_diagnosis.preset_files import PresetLook
from darkroom.job_diagnosis.storage import StorageLook
from darkroom.job_diagnosis.store import store_findings
from darkroom.job_diagnosis.webhooks import webhook_findings

MAX_STRUCK = 5
"""Jobs that are named one by one."""

Look = Callable[[Mapping[str, Any]], Sequence[Finding]]


class JobDiagnosis:
    def __init__(
        self,
        settings: Mapping[str, str],
        jobs: Callable[[], JobStore],
        letters: Callable[[], DeadLetters],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`settings` are the functions' environment variables; `jobs` and `letters` return the clients, made once."""
        self._settings = settings
        self._jobs = jobs
        self._letters = LetterLook(letters, clock)
        self._storage = StorageLook(clock)
        self._presets = PresetLook(settings)

    @property
    def parts(self) -> Mapping[str, Look]:
        """Return what can be looked at, by name. Each raises DependencyUnavailableError."""
        return {"job store": self._of_jobs, "dead letters": self._of_letters, "settings": self._of_files}

    def _of_jobs(self, status: Mapping[str, Any]) -> Sequence[Finding]:
        if not (is_up(status, "redis") and is_up(status, "postgres")):
            return []  # The server's own finding says so, and asking it would take as long again.
        store = self._jobs()
        condition, readings = store.condition(struck=MAX_STRUCK), store.statistics()
        return [
            *store_findings(condition, readings, self._settings),
            *struck_findings(condition.struck),
            *lane_findings(readings, status),
            *self._storage.findings(readings),
            *webhook_findings(readings),
        ]

    def _of_letters(self, status: Mapping[str, Any]) -> Sequence[Finding]:
        return self._letters.findings() if is_up(status, "nats") else []

    def _of_files(self, _status: Mapping[str, Any]) -> Sequence[Finding]:
        return list(self._in_files())

    def _in_files(self) -> Iterator[Finding]:
        yield from self._presets.findings()
        yield from key_findings(self._settings)
