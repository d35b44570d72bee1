"""The runs of one locust: one without its web page, as many as somebody starts with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from locust.runners import MasterRunner

from darkroom.client import ClientError
from loadtests.errors import LoadTestError, ObservationError, UnreachableError
from loadtests.observing import check_source
from loadtests.options import RunOptions, host_address, parsed_options
from loadtests.reaching import check_target
from loadtests.run import Outcome, Run, authorization, say, source_of, with_stories
from loadtests.schedule import DISTRIBUTED_LEAD_S, LEAD_S
from loadtests.summary import NOT_EVALUATED
from loadtests.visitor import Visitor
from loadtests.workers import Workers

API_KEY = "DARKROOM_API_KEY"
"""The variable with the API key, where keys are required. It is never an option, which others on the machine could
read.
"""


def api_key() -> str | None:
    return os.environ.get(API_KEY) or None


class Runs:
    def __init__(self) -> None:
        self._environment: Any = None
        self._prepared: tuple[RunOptions, str] | None = None
        self._workers: Workers | None = None
        self.current: Run | None = None
        """The one under way, until it has been evaluated."""
        self.is_ending = False
        """The load of the current run is over, and its ledger is being audited."""
        self.outcomes: list[Outcome] = []

    def set_up(self, environment: Any) -> None:
        """Take the locust whose runs these are."""
        self._environment = environment
        if isinstance(environment.runner, MasterRunner):
            self._workers = Workers(environment.runner)

    def prepare(self, values: Mapping[str, Any], *, host: str | None, shape: str | None = None) -> RunOptions:
        """Check everything that a run needs before it begins. Raises LoadTestError."""
        options, address = parsed_options(values, shape=shape), host_address(host)
        with_stories(options, (user.__name__ for user in self._environment.user_classes))
        check_target(address, authorization(api_key()))
        source = source_of(options)
        if source is not None:
            _check_source(source)
        self._prepared = options, address
        return options

    # --- the course of a run -----------------------------------------------------------------------------------------

    def tick(self) -> tuple[int, float, list[type[Visitor]]] | None:
        """Return what locust's shape returns; the first call of a run begins it."""
        run = self.current or self._begin()
        if self._workers is not None:
            self._workers.note_lost()
        return run.tick()

    def _begin(self) -> Run:
        if self._prepared is None:
            raise LoadTestError("the run was not prepared")
        if self._workers is not None:
            self._workers.wait_until_prepared()
        options, host = self._prepared
        environment = self._environment
        environment.host = host
        run = self.current = Run(
            environment,
            options,
            host=host,
            api_key=api_key(),
            lead_s=LEAD_S if self._workers is None else DISTRIBUTED_LEAD_S,
            shows=environment.web_ui is not None or environment.parsed_options.only_summary,
        )
        run.begin()
        if self._workers is not None:
            self._workers.begin(run.load)
        return run

    def interrupt(self) -> bool:
        """End the load of the current run early, if it is not over yet. Returns whether there was one to end."""
        if self.current is None or self.is_ending or self.current.load.interrupted:
            return False
        self.current.load.interrupted = True
        return True

    def end(self) -> None:
        """Evaluate the current run, whose visitors have gone."""
        run = self.current
        if run is None or self.is_ending:
            return
        self.is_ending = True
        try:
            if self._workers is not None:
                self._workers.collect()
            # Stopped by the button of the web page, say.
            run.load.interrupted = run.load.interrupted or not run.load.is_over
            self._evaluate(run)
        finally:
            self.current, self.is_ending = None, False

    def _evaluate(self, run: Run) -> None:
        self._environment.process_exit_code = NOT_EVALUATED
        try:
            outcome = run.evaluate()
        except (LoadTestError, ClientError) as exc:
            say(f"the run could not be judged: {exc}")
            return
        self.outcomes.append(outcome)
        self._environment.process_exit_code = outcome.exit_code
        if self._environment.web_ui is not None:
            print("\n".join(outcome.lines()), flush=True)


def _check_source(source: Any) -> None:
    try:
        check_source(source)
    except ObservationError as exc:
        raise UnreachableError(f"nothing could be observed at {source.address}: {exc}") from exc
    finally:
        source.close()


RUNS = Runs()
