"""One run, from its first visitor to its report, in the process that has the ledger: a single locust, or the master."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gevent

from darkroom.client import Client
from loadtests import progress, recording
from loadtests.audit import Audit
from loadtests.errors import OptionError, UnknownShapeError
from loadtests.ledger import FollowedJob
from loadtests.load import Load
from loadtests.observing import LocalRuntime, Metrics, Observer, Source
from loadtests.options import RunOptions
from loadtests.orders import pictures_of_all_kinds
from loadtests.recorder import recording_of
from loadtests.report import write_report
from loadtests.report_files import keep_earlier
from loadtests.shapes import Shape
from loadtests.stories import STORIES, BrokerRepeater
from loadtests.summary import RunSummary
from loadtests.verdict import Verdict
from loadtests.visitor import Visitor

JOB = "JOB"
"""The request type under which locust shows the time from the POST to the job's end."""
_BROUGHT_PER_S = 100
"""Above this rate, locust warns that it may not keep up."""
_LEAST_SETTLE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    summary: RunSummary
    report: Path
    earlier: Path | None
    """The report of the run before, under the name that it has now."""

    @property
    def exit_code(self) -> int:
        return 0 if self.summary.passed else 1

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        lines = [*self.summary.lines(), f"report      {self.report}"]
        if self.earlier is not None:
            lines.append(f"compare     python -m loadtests --compare {self.earlier} {self.report}")
        return lines


class Run:
    def __init__(
        self, environment: Any, options: RunOptions, *, host: str, api_key: str | None, lead_s: float, shows: bool
    ) -> None:
        """Prepare a run, whose first stage begins `lead_s` after its first tick, and `shows` its progress or not."""
        self._environment = environment
        self._options = options
        self._host = host
        self._api_key = api_key
        self._shows = shows
        shape = with_stories(options, (user.__name__ for user in environment.user_classes))
        for name, weight in shape.mix.items():
            STORIES[name].weight = weight
        self.load = Visitor.load = new_load(
            options,
            shape,
            environment=environment,
            headers=authorization(api_key),
            lead_s=lead_s,
            pictures=pictures_of_all_kinds(),
        )
        source = source_of(options)
        self._observer = None if source is None else Observer(source, self.load.clock)
        self._line = progress.ProgressLine(time.monotonic)
        self._due = 0
        self.audit: Audit | None = None

    # --- the load ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.load.begin()
        if self._observer is not None:
            self._observer.start()

    def tick(self) -> tuple[int, float, list[type[Visitor]]] | None:
        """Return how many visitors locust should have called by now; None when the load is over."""
        if self._shows:
            observed = None if self._observer is None else self._observer.observed
            self._line.show(progress.load_line(self.load, observed))
        if self.load.is_over:
            return None
        due = self.load.begin().due_soon()
        new, self._due = due - self._due, due
        # All new ones at once, since each waits for his own moment.
        return due, max(_BROUGHT_PER_S, new), [STORIES[name] for name in self.load.shape.mix]

    # --- its end -----------------------------------------------------------------------------------------------------

    def evaluate(self) -> Outcome:
        """Follow what is unfinished, compare the ledger with the API, write the report and the recording.

        Raises LoadTestError and ClientError when there is nothing to evaluate or nobody to ask.
        """
        generator_cpu_s = self.load.cpu_s()
        verdict = self._audited()
        if self._observer is not None:
            self._observer.stop()
        summary = RunSummary.of(
            self.load,
            verdict=verdict,
            objective=self._options.objective,
            host=self._host,
            generator_cpu_s=generator_cpu_s,
            observed=None if self._observer is None else self._observer.observed,
            stretch=self._options.stretch,
        )
        return self._written(summary)

    def _audited(self) -> Verdict:
        load, schedule = self.load, self.load.begin()
        # The time that the visitors have left of it.
        settle_s = max(_LEAST_SETTLE_S, schedule.began_at + load.shape.seconds + load.settle_s - load.clock())
        with Client(self._host, api_key=self._api_key) as client:
            self.audit = Audit(client, load.ledger)
            shown = gevent.spawn(self._show_audit)
            try:
                return self.audit.run(began_at=schedule.began_at, settle_s=settle_s)
            finally:
                shown.kill()
                self._line.end()

    def _show_audit(self) -> None:
        self._line.end()
        while self._shows and self.audit is not None:
            ledger = self.load.ledger
            line = progress.audit_line(
                unfinished=len(ledger.unfinished), checked=self.audit.checked, jobs=len(ledger.jobs)
            )
            self._line.show(line)
            gevent.sleep(progress.EVERY_S)

    def _written(self, summary: RunSummary) -> Outcome:
        page = self._options.report
        earlier = keep_earlier(page)
        write_report(summary, page)
        recording.write(recording_of(summary), page.with_suffix(".json"))
        return Outcome(summary=summary, report=page, earlier=earlier)


# --- what a worker makes as well -------------------------------------------------------------------------------------


def new_load(
    options: RunOptions,
    shape: Shape,
    *,
    environment: Any,
    headers: Mapping[str, str],
    lead_s: float,
    pictures: Mapping[str, bytes],
) -> Load:
    def report_end(job: FollowedJob) -> None:
        environment.events.request.fire(
            request_type=JOB,
            name=job.order,
            response_time=(job.took_s or 0) * 1000,
            response_length=0,
            exception=None if job.error is None else RuntimeError(job.error),
            context={},
        )

    return Load(
        shape=shape,
        scale=options.scale,
        seed=options.seed,
        settle_s=options.settle_s,
        broker_url=options.broker_url,
        headers=headers,
        on_end=report_end,
        lead_s=lead_s,
        pictures=pictures,
    )


def authorization(api_key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


def source_of(options: RunOptions) -> Source | None:
    if options.metrics_url:
        return Metrics(options.metrics_url)
    return LocalRuntime(options.admin_url) if options.admin_url else None


def with_stories(options: RunOptions, chosen: Iterable[str]) -> Shape:
    """Return the shape with those of its stories that were chosen, and with all chosen ones if it has none of them; in
    both cases without those that need an address that was not given. Raises LoadTestError.
    """
    shape = options.shape
    unknown = shape.mix.keys() - STORIES.keys()
    if unknown:
        raise UnknownShapeError(f"the shape {shape.name} names unknown stories: {', '.join(sorted(unknown))}")
    able = [name for name in chosen if options.broker_url or name != BrokerRepeater.__name__]
    if not able:
        raise OptionError(f"{BrokerRepeater.__name__} needs the Broker's address: --broker-host")
    mix = {name: weight for name, weight in shape.mix.items() if name in able}
    return replace(shape, mix=mix or dict.fromkeys(able, 1))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
