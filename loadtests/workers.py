"""A distributed locust with one ledger: its workers send the load, its master assigns the moments and has the ledger.

    worker                                    master
                                    ◀──       prepare {pictures}, until each worker is prepared
    prepared                        ──▶
    place {number}                  ──▶       takes the next moment of the schedule
                                    ◀──       moment {number, moment, now}
    report {changes, requests, …}   ──▶       merges them, twice a second
                                    ◀──       finish
    report {…, final}               ──▶       audits, when it has that of each worker

Messages between two processes keep their order, so the final report is the last word.
"""

from __future__ import annotations

from typing import Any

import gevent
from locust import runners

from loadtests.ledger_exchange import merge
from loadtests.load import Load, Request
from loadtests.orders import pictures_of_all_kinds
from loadtests.schedule import Attendance

PREPARE, PREPARED, PLACE, MOMENT, REPORT, FINISH = (
    f"darkroom.{what}" for what in ("prepare", "prepared", "place", "moment", "report", "finish")
)
BEGAN_AT = "darkroom_began_at"
"""The option by which locust tells its workers when the run began."""
_PREPARED_WITHIN_S = 120.0
_ASKED_AGAIN_S = 1.0
"""A worker that has just connected may not listen yet."""
_SILENT_FOR_S = 10
"""A worker that is silent for longer is lost. Locust's own 3 s are less than a busy machine may take."""
_COLLECTED_WITHIN_S = 30.0
"""More than it takes locust to notice that a worker is missing."""


class Workers:
    """The master's side."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._load: Load | None = None
        self._called: dict[str, int] = {}
        """Places that each worker of this run was given."""
        self._final: set[str] = set()
        self._prepared: set[str] = set()
        runners.HEARTBEAT_LIVENESS = _SILENT_FOR_S
        runner.register_message(PREPARED, self._note_prepared)
        runner.register_message(PLACE, self._assign)
        runner.register_message(REPORT, self._take)

    def wait_until_prepared(self) -> None:
        """Wait until each worker has the pictures. To make them there would make its first visitors late."""
        pictures = dict(pictures_of_all_kinds())
        with gevent.Timeout(_PREPARED_WITHIN_S, False):
            while unprepared := [worker for worker in self._runner.clients if worker not in self._prepared]:
                for worker in unprepared:
                    self._runner.send_message(PREPARE, {"pictures": pictures}, client_id=worker)
                gevent.sleep(_ASKED_AGAIN_S)

    def _note_prepared(self, environment: Any, msg: Any, **_others: Any) -> None:
        self._prepared.add(msg.node_id)

    def begin(self, load: Load) -> None:
        self._load, self._called, self._final = load, {}, set()
        setattr(self._runner.environment.parsed_options, BEGAN_AT, load.begin().began_at)

    def _assign(self, environment: Any, msg: Any, **_others: Any) -> None:
        load, worker = self._load, msg.node_id
        moment = None if load is None or load.interrupted else load.begin().next_moment()
        if load is not None and moment is not None:
            self._called[worker] = self._called.get(worker, 0) + 1
        now = None if load is None else load.clock()
        answer = {"number": msg.data["number"], "moment": moment, "now": now}
        self._runner.send_message(MOMENT, answer, client_id=worker)

    def _take(self, environment: Any, msg: Any, **_others: Any) -> None:
        load, worker, report = self._load, msg.node_id, msg.data
        # A worker that was thought lost may report late: the ledger is closed by then.
        if load is None or worker in self._final or report["began_at"] != load.begin().began_at:
            return
        merge(load.ledger, report["changes"])
        load.requests += [Request(**request) for request in report["requests"]]
        load.begin().attendance[worker] = Attendance(**report["attendance"])
        load.workers_cpu_s[worker] = report["cpu_s"]
        if report["final"]:
            self._final.add(worker)

    def note_lost(self) -> None:
        """Let nobody wait for the visitors of a worker that is gone."""
        for worker in self._gone():
            attendance = self._load.begin().attendance.setdefault(worker, Attendance()) if self._load else Attendance()
            attendance.gone = self._called[worker]

    def collect(self) -> None:
        """Have the workers stop, wait for the last report of each, and close the ledger to them."""
        self._runner.send_message(FINISH)
        with gevent.Timeout(_COLLECTED_WITHIN_S, False):
            while self._called.keys() - self._final - self._gone():
                gevent.sleep(0.05)
        if self._load is not None:
            self._load.lost_workers += [
                f"{worker} did not report how it ended; of its {self._called[worker]} visitors, "
                f"what they did last is not in the ledger"
                for worker in sorted(self._called.keys() - self._final)
            ]
        self._load = None

    def _gone(self) -> set[str]:
        """Return the workers of this run that are gone without a final report."""
        clients = self._runner.clients
        return {
            worker
            for worker in self._called.keys() - self._final
            if worker not in clients or clients[worker].state == runners.STATE_MISSING
        }
