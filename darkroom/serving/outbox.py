"""Sends jobs' events to the broker: those of jobs just accepted, and those whose turn in their lane has come.

The outbox is the job record. What a process dies with, or cannot remember, is overdue in the record: whoever finds that
the broker is back sends it, or else recovery.
"""

from __future__ import annotations

import threading
from uuid import UUID

from darkroom import telemetry
from darkroom.adapters.jobs import Lane
from darkroom.contract import events, traces
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord
from darkroom.serving.confirmations import Confirmations
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

HANDED_OUT_AT_ONCE = 16
"""So that several processes share what waits, and little is overdue when one of them dies."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
"""Between attempts to reach a broker or a job store that is away; doubled each time."""
MAX_UNSENT = 1000
"""Events that a process remembers while the broker is away. The job store remembers them all."""
FOUND_AT_ONCE = 100

log = get_logger()


def lane_of(record: JobRecord) -> Lane:
    return Lane(type=record.type, cost_class=record.cost_class)


class Outbox:
    """What does not concern the caller's own job is done by one thread per process, begun when it is first needed: in
    gunicorn's worker, after the fork."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._source = f"/darkroom/{resources.settings.service}"
        self._confirmations = Confirmations(resources)
        self._lock = threading.Lock()
        self._unsent: dict[UUID, JobRecord] = {}
        self._lanes: set[Lane] = set()
        self._was_away = False
        """Whether the broker did not take an event since `_send_what_others_left`."""
        self._is_any = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, record: JobRecord) -> None:
        """Emit the job's event, unless it has to wait in its lane. Best effort: a broker that is down only delays the
        job, whose event is sent as soon as the broker takes it.
        """
        if record.makes_room:
            self.advance(lane_of(record))
        if record.in_lane:
            return
        try:
            with telemetry.span("emit", kind="producer"):
                self._send(record)
        except DependencyUnavailableError as exc:
            log.warning("emission.deferred", job_id=str(record.job_id), error=exc.detail)
            with self._lock:
                if len(self._unsent) < MAX_UNSENT:
                    self._unsent[record.job_id] = record
                self._was_away = True
            self._wake()

    def advance(self, lane: Lane) -> None:
        """Emit what waits in the lane, as far as the broker's window has room; in the background."""
        if self._resources.settings.sink_url is None:
            return  # A first revision on a cluster; others emit what waits.
        with self._lock:
            self._lanes.add(lane)
        self._wake()

    def _send(self, record: JobRecord) -> None:
        self._resources.emitter.emit(events.requested(record, source=self._source))
        self._confirmations.add(record.job_id, record.emissions)

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()
        self._is_any.set()

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        pause = threading.Event()
        while True:
            self._is_any.wait()
            self._is_any.clear()
            try:
                self._send_unsent()
                self._advance_lanes()
                self._send_what_others_left()
                wait_s = FIRST_WAIT_S
            except DependencyUnavailableError as exc:
                self._was_away = True
                if wait_s == FIRST_WAIT_S:
                    log.warning("outbox.waiting", error=exc.detail)
                pause.wait(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                self._is_any.set()

    def _send_unsent(self) -> None:
        while (record := self._first_unsent()) is not None:
            # Nobody's request: it belongs to the trace of the job itself.
            parent = traces.of_job(record.trace, record.redrives)
            with telemetry.entry("emit", parent, kind="producer", emission=record.emissions):
                self._send(record)
            with self._lock:
                self._unsent.pop(record.job_id, None)

    def _send_what_others_left(self) -> None:
        """If the broker was away: send the overdue events of processes that have ended, and those nobody remembers."""
        if not self._was_away:
            return
        self._was_away = False
        while found := self._resources.jobs.unemitted(limit=FOUND_AT_ONCE):
            self._remember(found)
            self._send_unsent()

    def _remember(self, records: list[JobRecord]) -> None:
        with self._lock:
            self._unsent |= {record.job_id: record for record in records}

    def _first_unsent(self) -> JobRecord | None:
        with self._lock:
            return next(iter(self._unsent.values()), None)

    def _advance_lanes(self) -> None:
        while self._lanes:
            with self._lock:
                lane = self._lanes.pop()
            try:
                self._advance(lane)
            except DependencyUnavailableError:
                with self._lock:
                    self._lanes.add(lane)
                raise

    def _advance(self, lane: Lane) -> None:
        while handed_out := self._resources.jobs.next_in_line(lane, limit=HANDED_OUT_AT_ONCE):
            self._remember(handed_out)
            self._send_unsent()
            if len(handed_out) < HANDED_OUT_AT_ONCE:
                return
