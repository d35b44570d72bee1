"""A steady load of clients that do as they should: the same POST with the same key until it is accepted."""

from __future__ import annotations

import random
import threading
import time
import uuid
from typing import Any

from tests.faults.ledger import Ledger
from tests.faults.orders import SLOW_WIDTH

_MOST_TRIES = 60
_LONGEST_PAUSE_S = 2.0


class Load:
    """`with Load(...)` posts in the background; leaving the block waits for the clients that are at it."""

    def __init__(self, ledger: Ledger, picture: bytes, *, per_second: float, seed: int = 0, slow_share: float = 0.3):
        self._ledger = ledger
        self._picture = picture
        self._per_second = per_second
        self._random = random.Random(seed)
        self._slow_share = slow_share
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
            client = threading.Thread(target=self._submit, args=self._next_job(), daemon=True)
            client.start()
            self._clients.append(client)

    def _next_job(self) -> tuple[str, dict[str, Any]]:
        width = self._random.randrange(20, 300)
        if self._random.random() < self._slow_share:
            return "resize", {"width": SLOW_WIDTH}
        if self._random.random() < 0.5:
            return "crop", {"width": width, "height": 40, "gravity": "centre"}
        return "resize", {"width": width, "format": self._random.choice(["jpeg", "png", "webp"])}

    def _submit(self, job_type: str, parameters: dict[str, Any]) -> None:
        key = str(uuid.uuid4())
        for _ in range(_MOST_TRIES):
            answer = self._ledger.post(job_type, self._picture, key=key, timeout_s=15, **parameters)
            if answer.job_id is not None:
                return
            time.sleep(min(float(answer.retry_after or 0.5), _LONGEST_PAUSE_S))
        self.given_up += 1
