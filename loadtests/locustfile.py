"""The file for locust: the stories, the shape, our options, and the handlers for the start and end of a run.

`python -m loadtests` starts a Darkroom and locust with this file. By hand: locust -f loadtests/locustfile.py --help
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, events
from locust.runners import LocalRunner

# After locust, whose import makes sockets and threads cooperative: no other module may have imported them before.
from darkroom.client import Client, ClientError
from loadtests.audit import Audit
from loadtests.errors import LoadTestError, UnknownShapeError
from loadtests.ledger import FollowedJob
from loadtests.load import Load, Request
from loadtests.objective import Objective
from loadtests.observing import LocalRuntime, Metrics, Observer, Source
from loadtests.report import write_report
from loadtests.shapes import SHAPES, Shape, shape_named
from loadtests.stories import (
    STORIES,
    BatchImporter,
    BrokerRepeater,
    DuplicateEventSender,
    DuplicateSender,
    EventSender,
    UploadAndPoll,
    UploadAndWait,
)
from loadtests.summary import NOT_EVALUATED, RunSummary
from loadtests.visitor import Visitor

# Locust finds the users among this file's names.
__all__ = [
    "BatchImporter",
    "BrokerRepeater",
    "DuplicateEventSender",
    "DuplicateSender",
    "EventSender",
    "UploadAndPoll",
    "UploadAndWait",
    "VisitorsByTheTable",
]

API_KEY = "DARKROOM_API_KEY"
"""The variable with the API key, where keys are required. It is never an option, which others on the machine could
read.
"""
JOB = "JOB"
"""The request type under which locust shows the time from the POST to the job's end."""
_BROUGHT_PER_S = 100
"""Above this rate, locust warns that it may not keep up."""


def _objective(text: str) -> Objective:
    try:
        return Objective.parse(text)
    except LoadTestError as exc:
        raise ArgumentTypeError(str(exc)) from exc


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    group = parser.add_argument_group("Darkroom", "What is loaded, how, and what is expected of it.")
    group.add_argument("--shape", choices=list(SHAPES), default="steady", env_var="SHAPE", help="Who comes when.")
    group.add_argument("--scale", type=float, default=1.0, help="Multiplies every rate of the shape.")
    group.add_argument("--stretch", type=float, default=1.0, help="Multiplies how long each stage lasts.")
    group.add_argument("--objective", type=_objective, default=Objective(), help='Like "99.5%% within 10s".')
    group.add_argument("--settle", type=float, default=120.0, help="Seconds in which every job must have ended.")
    group.add_argument("--broker-host", help="The Broker's address with its path, for events straight at it.")
    group.add_argument("--admin-url", help="Of a local runtime: shows instances and backlog.")
    group.add_argument("--metrics-url", help="Where darkroom's metrics are served for Prometheus, instead.")
    group.add_argument("--report", type=Path, help="The page to write. [default: load-report/SHAPE.html]")


class VisitorsByTheTable(LoadTestShape):
    """Calls as many visitors as the shape's table has by now."""

    def tick(self) -> tuple[int, float, list[type[Visitor]]] | None:
        load = Visitor.load
        if load.is_over:
            return None
        due = load.begin().due_soon()
        # All new ones at once, since each waits for his own moment.
        new = due - self.get_current_user_count()
        return due, max(_BROUGHT_PER_S, new), [STORIES[name] for name in load.shape.mix]


class Run:
    """A run from its start to its report."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._options = environment.parsed_options
        shape = self._shape()
        for name, weight in shape.mix.items():
            STORIES[name].weight = weight
        self._api_key = os.environ.get(API_KEY) or None
        self._load = Visitor.load = Load(
            shape=shape,
            scale=self._options.scale,
            settle_s=self._options.settle,
            broker_url=self._options.broker_host,
            headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
            on_end=self._report_end,
        )
        self._observer = None if (source := self._source()) is None else Observer(source, self._load.clock)
        self._summary: RunSummary | None = None

    def _shape(self) -> Shape:
        """Return the shape without those of its stories that need an address that was not given."""
        shape = shape_named(self._options.shape).stretched(self._options.stretch)
        unknown = shape.mix.keys() - STORIES.keys()
        if unknown:
            raise UnknownShapeError(f"the shape {shape.name} names unknown stories: {', '.join(sorted(unknown))}")
        return shape if self._options.broker_host else shape.without(BrokerRepeater.__name__)

    def _source(self) -> Source | None:
        if self._options.metrics_url:
            return Metrics(self._options.metrics_url)
        return LocalRuntime(self._options.admin_url) if self._options.admin_url else None

    def _report_end(self, job: FollowedJob) -> None:
        failure = None if job.error is None else RuntimeError(job.error)
        self._environment.events.request.fire(
            request_type=JOB,
            name=job.order,
            response_time=(job.took_s or 0) * 1000,
            response_length=0,
            exception=failure,
            context={},
        )

    def note(self, request_type: str, name: str, response_time: float, exception: Any, **_others: Any) -> None:
        """Record a visitor's request that has been answered, or has failed."""
        if request_type == JOB:
            return
        now, took_s = self._load.clock(), response_time / 1000
        self._load.requests.append(Request(name=name, at=now - took_s, took_s=took_s, failed=exception is not None))

    def begin(self) -> None:
        self._load.begin()
        if self._observer is not None:
            self._observer.start()

    def evaluate(self) -> int:
        """Finish the run and return its exit code: follow what is unfinished, compare the ledger with the API, write
        the report.
        """
        load, options = self._load, self._options
        schedule, generator_cpu_s = load.begin(), load.cpu_s()
        unfinished = len(load.ledger.unfinished)
        print(f"the load is over; {unfinished} jobs to be followed to their end, {len(load.ledger.jobs)} to be checked")
        # The time that the visitors have left of it.
        settle_s = max(5.0, schedule.began_at + load.shape.seconds + load.settle_s - load.clock())
        with Client(self._environment.host, api_key=self._api_key) as client:
            verdict = Audit(client, load.ledger).run(began_at=schedule.began_at, settle_s=settle_s)
        if self._observer is not None:
            self._observer.stop()
        self._summary = RunSummary.of(
            load,
            verdict=verdict,
            objective=options.objective,
            host=self._environment.host,
            generator_cpu_s=generator_cpu_s,
            observed=None if self._observer is None else self._observer.observed,
        )
        self._report_path = options.report or Path("load-report", f"{load.shape.name}.html")
        write_report(self._summary, self._report_path)
        return 0 if self._summary.passed else 1

    def show(self) -> None:
        """Print the summary last, below locust's tables."""
        if self._summary is not None:
            print("\n".join(self._summary.lines()))
            print(f"report      {self._report_path}")


_RUN: list[Run] = []

# Otherwise it writes a line for each request, with the signed URLs.
logging.getLogger("httpx").setLevel(logging.WARNING)


@events.init.add_listener
def set_up(environment: Any, **_others: Any) -> None:
    if not isinstance(environment.runner, LocalRunner) or not environment.host:
        sys.exit("loadtests run in one process, since there is one ledger, with --headless and --host")
    # The exit code until the run has been evaluated.
    environment.process_exit_code = NOT_EVALUATED
    environment.host = environment.host.rstrip("/")
    gevent.signal_handler(signal.SIGINT, interrupt)
    try:
        run = Run(environment)
    except LoadTestError as exc:
        sys.exit(str(exc))
    _RUN.append(run)
    environment.events.request.add_listener(run.note)


def interrupt() -> None:
    """Handle Ctrl-C: no more visitors come, and what was accepted is still followed. Pressed again, it is not."""
    if Visitor.load.interrupted:
        sys.exit(NOT_EVALUATED)
    Visitor.load.interrupted = True


@events.test_start.add_listener
def begin(**_others: Any) -> None:
    _RUN[-1].begin()


@events.quitting.add_listener
def evaluate(environment: Any, **_others: Any) -> None:
    try:
        environment.process_exit_code = _RUN[-1].evaluate()
    except (LoadTestError, ClientError) as exc:
        print(f"the run could not be judged: {exc}", file=sys.stderr)


@events.quit.add_listener
def show(**_others: Any) -> None:
    _RUN[-1].show()
