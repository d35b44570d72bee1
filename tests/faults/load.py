"""A steady load of clients that do as they should: the same POST with the same key until it is accepted."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from tests.faults.ledger import Ledger
from tests.faults.orders import SLOW_WIDTH

LATEST_ENDING_S = 1.5
_RENDITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "thumb": ("resize", {"width": 60}),
    "small": ("resize", {"width": 200, "format": "webp"}),
    "face": ("crop", {"width": 80, "height": 80}),
}
_MOST_TRIES = 60
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What its owner does with a job after it was accepted."""

    erases: bool
    """False: cancels."""
    after_s: float


class Load:
    """`with Load(...)` posts in the background; leaving the block waits for the clients that are at it."""

    def __init__(
        self,
        ledger: Ledger,
        picture: bytes,
        *,
        per_second: float,
        seed: int = 0,
        slow_share: float = 0.3,
        renditions_share: float = 0.0,
        ending_share: float = 0.0,
    ):
        """`renditions_share` of the jobs have several results, half of them in the background; of `ending_share`, half
        are cancelled and half are erased, a moment after they were accepted."""
        self._ledger = ledger
        self._picture = picture
        self._per_second = per_second
        self._random = random.Random(seed)
        self._slow_share = slow_share
        self._renditions_share = renditions_share
        self._ending_share = ending_share
        self._stopped = threading.Event()
        self._clients: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.given_up = 0
        """Submissions that no try brought in."""

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join()
        for client in self._clients:
            client.join()

    def _run(self) -> None:
        while not self._stopped.wait(1 / self._per_second):
            client = threading.Thread(target=self._submit, args=(*self._next_job(), self._next_ending()), daemon=True)
            client.start()
            self._clients.append(client)

    def _next_job(self) -> tuple[str, dict[str, Any]]:
        width = self._random.randrange(20, 300)
        if self._random.random() < self._renditions_share:
            renditions = {name: {"type": kind, "parameters": of} for name, (kind, of) in _RENDITIONS.items()}
            return "renditions", {"renditions": json.dumps(renditions), "background": self._random.random() < 0.5}
        if self._random.random() < self._slow_share:
            return "resize", {"width": SLOW_WIDTH}
        if self._random.random() < 0.5:
            return "crop", {"width": width, "height": 40, "gravity": "centre"}
        return "resize", {"width": width, "format": self._random.choice(["jpeg", "png", "webp"])}

    def _next_ending(self) -> Ending | None:
        if self._random.random() >= self._ending_share:
            return None
        return Ending(erases=self._random.random() < 0.5, after_s=self._random.uniform(0, LATEST_ENDING_S))

    def _submit(self, job_type: str, parameters: dict[str, Any], ending: Ending | None) -> None:
        key = str(uuid.uuid4())
        for _ in range(_MOST_TRIES):
            answer = self._ledger.post(job_type, self._picture, key=key, timeout_s=15, **parameters)
            if answer.job_id is not None:
                self._end(answer.job_id, ending)
                return
            time.sleep(min(float(answer.retry_after or 0.5), _LONGEST_PAUSE_S))
        self.given_up += 1

    def _end(self, job_id: str, ending: Ending | None) -> None:
        if ending is not None:
            time.sleep(ending.after_s)
            (self._ledger.erase if ending.erases else self._ledger.cancel)(job_id)
