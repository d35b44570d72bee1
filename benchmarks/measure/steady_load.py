"""A steady load of single requests, whatever they are answered."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from benchmarks.measure.backlog import Submitter

ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class Answer:
    at_s: float
    """Since the load began."""
    outcome: str
    """ACCEPTED, or the status and the code."""
    job_id: str = ""


@dataclass
class Load:
    """Requests at a steady rate, from several threads so that a slow answer delays none."""

    submitter: Submitter
    per_s: float
    threads: int = 4
    answers: list[Answer] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        self.began = time.monotonic()
        workers = [threading.Thread(target=self._send, args=(place, seconds)) for place in range(self.threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _send(self, place: int, seconds: float) -> None:
        each_s = self.threads / self.per_s
        number = place / self.threads
        while (due_s := number * each_s) < seconds:
            time.sleep(max(0.0, self.began + due_s - time.monotonic()))
            self.answers.append(self._ask())
            number += 1

    def _ask(self) -> Answer:
        at_s = time.monotonic() - self.began
        answer = self.submitter.submit_one()
        if answer.status_code == 202:
            return Answer(at_s=at_s, outcome=ACCEPTED, job_id=answer.json()["job_id"])
        return Answer(at_s=at_s, outcome=f"{answer.status_code} {answer.json().get('code')}")
