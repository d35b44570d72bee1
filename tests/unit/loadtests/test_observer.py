from __future__ import annotations

import time
from collections.abc import Sequence

from loadtests.errors import ObservationError
from loadtests.observing import ColdStart, Observation, Observer
from tests.stack import eventually


class Flickering:
    """Fails the first time."""

    name = address = "a lamp"
    looks = 0
    closed = False

    def look(self, at: float) -> tuple[Observation, Sequence[ColdStart]]:
        self.looks += 1
        if self.looks == 1:
            raise ObservationError("it was dark")
        return Observation(at=at, backlog=0, wanted={}, ready={}, cold_starts={}), []

    def close(self) -> None:
        self.closed = True


def test_what_cannot_be_seen_is_kept_for_the_report_and_ends_nothing() -> None:
    lamp = Flickering()
    observer = Observer(lamp, time.time)
    observer.start()
    eventually(lambda: len(observer.observed.observations) >= 1, within_s=20, what="it is seen the second time")
    observer.stop()
    assert observer.observed.trouble == "a lamp: it was dark"
    assert lamp.closed
