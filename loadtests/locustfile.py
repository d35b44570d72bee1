"""The file for locust: our users, our shapes, our options, and what happens when a run begins and ends.

    python -m loadtests --help                                    starts a Darkroom, or loads one, and reports
    python -m loadtests.by_hand --help                            locust's options and ours
    locust -f loadtests/locustfile.py --host http://...           by hand: with locust's web page
    locust -f loadtests/locustfile.py --host http://... --class-picker
    locust -f loadtests/locustfile.py --host http://... --headless --shape burst
    locust -f loadtests/locustfile.py --host http://... --headless --processes 2
    locust -f loadtests/locustfile.py --host http://... --headless --master --expect-workers 2
    locust -f loadtests/locustfile.py --worker --master-host ...

An API key is taken from DARKROOM_API_KEY, by every worker too.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from loadtests import library_logs
from loadtests.errors import LoadTestError
from loadtests.load import Request
from loadtests.options import add_options
from loadtests.orders import pictures_of_all_kinds
from loadtests.run import JOB, say
from loadtests.runs import RUNS
from loadtests.shape_classes import Burst, Diurnal, HeavyTailed, Ramp, Soak, Spike, Steady
from loadtests.stories import (
    BatchImporter,
    BrokerRepeater,
    DuplicateEventSender,
    DuplicateSender,
    EventSender,
    UploadAndPoll,
    UploadAndWait,
)
from loadtests.summary import NOT_EVALUATED
from loadtests.visitor import Visitor
from loadtests.web_page import choose_shape, extend
from loadtests.worker import Worker

# Locust finds users and shapes among this file's names.
__all__ = [
    "BatchImporter",
    "BrokerRepeater",
    "Burst",
    "Diurnal",
    "DuplicateEventSender",
    "DuplicateSender",
    "EventSender",
    "HeavyTailed",
    "Ramp",
    "Soak",
    "Spike",
    "Steady",
    "UploadAndPoll",
    "UploadAndWait",
]

library_logs.quieten()
events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def set_up(environment: Any, **_others: Any) -> None:
    """Choose what this process is: a worker, or the one with the ledger."""
    environment.events.request.add_listener(note)
    if isinstance(environment.runner, WorkerRunner):
        _set_up_worker(environment)
    else:
        _set_up_runs(environment)
        # Before the first visitor comes, which takes some seconds, and in a thread: workers' heartbeats must go on.
        gevent.get_hub().threadpool.apply(pictures_of_all_kinds)


def _set_up_worker(environment: Any) -> None:
    environment.process_exit_code = 0
    worker = Worker(environment)
    environment.events.test_start.add_listener(lambda **_others: worker.begin())
    environment.events.test_stop.add_listener(lambda **_others: worker.end())
    environment.events.quitting.add_listener(lambda **_others: worker.end())
    gevent.signal_handler(signal.SIGINT, worker.interrupted)


def _set_up_runs(environment: Any) -> None:
    RUNS.set_up(environment)
    choose_shape(environment, environment.parsed_options.shape)
    environment.events.test_stop.add_listener(end)
    environment.events.quit.add_listener(show)
    gevent.signal_handler(signal.SIGINT, interrupt, environment)
    if environment.web_ui is not None:
        environment.process_exit_code = 0
        extend(environment.web_ui, environment, RUNS)
        return
    # The exit code until the run has been evaluated.
    environment.process_exit_code = NOT_EVALUATED
    try:
        RUNS.prepare(vars(environment.parsed_options), host=environment.host)
    except LoadTestError as exc:
        say(f"error: {exc}")
        _leave(environment)


def note(request_type: str, name: str, response_time: float, exception: Any, **_others: Any) -> None:
    """Record a visitor's request that has been answered, or has failed."""
    if request_type != JOB:
        load, took_s = Visitor.load, response_time / 1000
        at = load.clock() - took_s
        load.requests.append(Request(name=name, at=at, took_s=took_s, failed=exception is not None))


def interrupt(environment: Any) -> None:
    """Handle Ctrl-C: no more visitors come, what was accepted is followed, and the report is written. Pressed again,
    not even that.
    """
    if RUNS.interrupt():
        say("\nno more visitors; what was accepted is followed to its end (Ctrl-C again to leave it)")
        if environment.web_ui is not None:
            gevent.spawn(_quit_after_the_run, environment)
    elif RUNS.current is None and environment.web_ui is not None:
        _quit(environment)
    else:
        _leave(environment)


def _quit_after_the_run(environment: Any) -> None:
    while RUNS.current is not None:
        gevent.sleep(0.1)
    _quit(environment)


def _quit(environment: Any) -> None:
    environment.runner.quit()
    environment.web_ui.stop()


def _leave(environment: Any) -> None:
    """End without an evaluation."""
    RUNS.current = None
    if isinstance(environment.runner, MasterRunner):
        # Its workers would wait for it.
        environment.runner.quit()
    sys.exit(NOT_EVALUATED)


def end(environment: Any, **_others: Any) -> None:
    """Evaluate the run. Beside the web page this takes its time, and does not keep the page's stop button waiting."""
    if environment.web_ui is None:
        RUNS.end()
    else:
        gevent.spawn(RUNS.end)


def show(**_others: Any) -> None:
    """Print the summary last, below locust's tables."""
    if RUNS.outcomes:
        print("\n".join(RUNS.outcomes[-1].lines()))
