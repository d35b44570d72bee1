"""A worker of a distributed locust: its visitors ask the master for their moments, and it reports what they did."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from itertools import count
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust import argument_parser

from loadtests.ledger_exchange import take_changes
from loadtests.load import Load
from loadtests.options import parsed_options
from loadtests.orders import pictures_of_all_kinds
from loadtests.run import authorization, new_load, say
from loadtests.runs import api_key
from loadtests.schedule import LEAD_S, Attendance
from loadtests.visitor import Visitor
from loadtests.workers import BEGAN_AT, FINISH, MOMENT, PLACE, PREPARE, PREPARED, REPORT

_REPORT_EVERY_S = 0.5
_CLOCKS_DIFFER_S = 0.5
"""A worker on another machine whose clock differs by more than this follows the master's."""


class RemotePlaces:
    """The places of this worker's visitors, which the master assigns."""

    def __init__(self, runner: Any, load: Load, *, began_at: float) -> None:
        self.began_at = began_at
        self.attendance = Attendance()
        self._runner = runner
        self._load = load
        self._numbers = count()
        self._asked: dict[int, AsyncResult] = {}

    def next_moment(self) -> float | None:
        number, answer = next(self._numbers), AsyncResult()
        self._asked[number] = answer
        self._runner.send_message(PLACE, {"number": number})
        moment: float | None = answer.get()
        return moment

    def answered(self, answer: dict[str, Any]) -> None:
        """Give the visitor that asked his moment."""
        now = answer["now"]
        if now is not None and abs(now - self._load.clock()) > _CLOCKS_DIFFER_S:
            self._load.clock.set(now)
        waiting = self._asked.pop(answer["number"], None)
        if waiting is not None:
            waiting.set(answer["moment"])

    def arrived(self, moment: float) -> None:
        self.attendance.arrived(self._load.clock() - moment)

    def left(self) -> None:
        self.attendance.left()


class Worker:
    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._load: Load | None = None
        self._places: RemotePlaces | None = None
        self._pictures: Mapping[str, bytes] = {}
        # Locust 2.47 makes its parser anew for each option of each message that calls visitors: 0.14 s of CPU time per
        # second, in which all visitors of this worker stand still.
        argument_parser.default_args_dict = cache(argument_parser.default_args_dict)
        self._runner.register_message(PREPARE, self._prepare)
        self._runner.register_message(MOMENT, self._answered)
        self._runner.register_message(FINISH, self._finish)
        if environment.parsed_options.processes:
            gevent.spawn(_end_with, os.getppid())

    def _prepare(self, environment: Any, msg: Any, **_others: Any) -> None:
        self._pictures = msg.data["pictures"]
        self._runner.send_message(PREPARED)

    def begin(self) -> None:
        """Begin the run that the master has begun, with its options, which locust has sent."""
        values = self._environment.parsed_options
        options = parsed_options(values)
        self._load = Visitor.load = new_load(
            options,
            options.shape,
            environment=self._environment,
            headers=authorization(api_key()),
            lead_s=LEAD_S,
            # One that came in the middle of a run has not been given them.
            pictures=self._pictures or pictures_of_all_kinds(),
        )
        self._places = RemotePlaces(self._runner, self._load, began_at=getattr(values, BEGAN_AT))
        self._load.begin_as_worker(self._places)
        gevent.spawn(self._report_regularly, self._load)

    def _report_regularly(self, load: Load) -> None:
        while self._load is load:
            self._report(load, final=False)
            gevent.sleep(_REPORT_EVERY_S)

    def end(self) -> None:
        """Report for the last time; all visitors have gone."""
        if self._load is not None:
            load, self._load = self._load, None
            self._report(load, final=True)

    def _report(self, load: Load, *, final: bool) -> None:
        if self._places is None:
            return
        requests, load.requests = load.requests, []
        report = {
            "began_at": self._places.began_at,
            "changes": take_changes(load.ledger),
            "requests": [asdict(request) for request in requests],
            "attendance": asdict(self._places.attendance),
            "cpu_s": load.cpu_s(),
            "final": final,
        }
        self._runner.send_message(REPORT, report)

    def _answered(self, environment: Any, msg: Any, **_others: Any) -> None:
        if self._places is not None:
            self._places.answered(msg.data)

    def _finish(self, environment: Any, msg: Any, **_others: Any) -> None:
        """Stop, which fires test_stop and so calls `end`."""
        self._runner.stop()
        self.end()

    def interrupted(self) -> None:
        """Handle Ctrl-C, which reaches every process of a terminal: the master ends the run. Pressed again, leave."""
        if self._load is None or self._load.interrupted:
            self.end()
            sys.exit(0)
        self._load.interrupted = True
        say("this worker waits for its master to end the run (Ctrl-C again to leave at once)")


def _end_with(parent: int) -> None:
    """End when the process that forked this one is gone, however it went: nobody else would tell."""
    while os.getppid() == parent:
        gevent.sleep(1)
    sys.exit(1)
