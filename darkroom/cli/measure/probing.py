"""Measures one function of a running stack, through the same doors as its users: the Broker or the API.

Cold starts are measured one at a time and several at once, because starts that share a machine slow each other down.
Service times are measured with one request at a time and an instance that is ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.simulate.observed import InstanceStart
from darkroom.simulate.observed.model import with_at_once
from darkroom.simulate.observed.record import read_record

WITHIN_S = 120.0
LOOKS_EVERY_S = 0.1
SENDERS = 16
_KEEPS_BUSY_S = 5.0
"""Longer than two decisions of the autoscaler, so that it sees the whole load while it lasts."""
_MOST_SENT = 2000


class MeasurementError(click.ClickException):
    """What was to be measured did not happen in time."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The function that is measured, and the Trigger that feeds it."""

    service: str
    trigger: str
    container_concurrency: int


@dataclass(kw_only=True)
class Probe:
    admin: AdminClient
    subject: Subject
    send: Callable[[], None]
    """Sends one request that the function will handle."""
    tell: Callable[[str], None]
    began_at: float = field(default_factory=time.time)

    def service_times_s(self, times: int) -> Sequence[float]:
        """Send one request after the other, and return how long each took in the function."""
        self._handle(1)
        since = time.time()
        for number in range(times):
            self._handle(1)
            if number == 0:
                self.tell(f"an answer takes about {self._observed(since)[0] * 1000:.0f} ms")
        return self._observed(since)

    def starts(self, at_once: int, *, service_s: float) -> Sequence[InstanceStart]:
        """Let the function go to zero, and return the starts that a load for this many instances causes."""
        self.wait_until(lambda row: not row["pids"], f"{self.subject.service} is at zero")
        since = self._last_event()
        self._handle(self._load_for(at_once, service_s))
        events = self._events(since)
        ready = [(float(one["at"]), float(one["ready_s"])) for one in events if self._is_start(one)]
        if not ready:
            raise MeasurementError(f"no instance of {self.subject.service} was started")
        return with_at_once(ready)

    def wait_until(self, holds: Callable[[Mapping[str, Any]], bool], what: str) -> None:
        """Wait until the function's status is so. Raises MeasurementError."""
        give_up_at = time.monotonic() + WITHIN_S
        while not holds(self._row("functions", "service", self.subject.service)):
            if time.monotonic() > give_up_at:
                raise MeasurementError(f"not within {WITHIN_S:g} s: {what}")
            time.sleep(LOOKS_EVERY_S)

    def _load_for(self, at_once: int, service_s: float) -> int:
        if at_once == 1:
            return 1
        places = at_once * max(1, self.subject.container_concurrency)
        rounds = max(1, round(_KEEPS_BUSY_S / max(service_s, 0.001)))
        return min(places * rounds, _MOST_SENT)

    def _handle(self, count: int) -> None:
        """Send requests, and wait until as many more have been delivered."""
        before = int(self._row("triggers", "trigger", self.subject.trigger)["delivered"])
        with ThreadPoolExecutor(max_workers=min(count, SENDERS)) as senders:
            for sent in [senders.submit(self.send) for _ in range(count)]:
                sent.result()
        give_up_at = time.monotonic() + WITHIN_S
        while int(self._row("triggers", "trigger", self.subject.trigger)["delivered"]) < before + count:
            if time.monotonic() > give_up_at:
                row = self._row("triggers", "trigger", self.subject.trigger)
                failure = row.get("last_failure") or "no failure is known"
                raise MeasurementError(
                    f"{count} requests were not done within {WITHIN_S:g} s by {self.subject.service}: {failure}"
                )
            time.sleep(LOOKS_EVERY_S / 10)

    def _observed(self, since: float) -> Sequence[float]:
        attempts = list(self.admin.lines("/record/tail", {"follow": "no", "since": since}))
        return read_record(
            attempts,
            (),
            service=self.subject.service,
            trigger=self.subject.trigger,
            room=self.subject.container_concurrency,
            source="the record",
        ).service_s

    def _row(self, section: str, name: str, wanted: str) -> Mapping[str, Any]:
        rows: Sequence[Mapping[str, Any]] = self.admin.ask_object("GET", "/status")[section]
        return next(row for row in rows if row[name] == wanted)

    def _events(self, since: int) -> Sequence[Mapping[str, Any]]:
        events: Sequence[Mapping[str, Any]] = self.admin.ask("GET", "/events", query={"since": since})
        return events

    def _last_event(self) -> int:
        return max((int(event["number"]) for event in self._events(0)), default=0)

    def _is_start(self, event: Mapping[str, Any]) -> bool:
        return bool(event["action"] == "instance.ready" and event["service"] == self.subject.service)
