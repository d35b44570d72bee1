"""The summary of a run: the facts behind the terminal's lines, the report and the exit code."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darkroom.contract.jobs import JobStatus
from loadtests.errors import EmptyRunError
from loadtests.ledger import FollowedJob, Submission, first_posts, pictures
from loadtests.load import Load, Request
from loadtests.objective import Objective, ObjectiveResult
from loadtests.observing import Observed
from loadtests.percentiles import Spread
from loadtests.shapes import Shape
from loadtests.verdict import Verdict

ALL = "all"
NOT_EVALUATED = 2
"""The exit code of a run that could not be evaluated; 0 means passed, 1 failed."""
_LATE_S = 1.0
"""A visitor who came later than this was delayed by the load generator, not by the system under load."""
_BUSY = 0.75
"""A load average above this share of the cores leaves too little CPU time for a measurement."""
_CASES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    shape: Shape
    scale: float
    stretch: float
    """With which the shape was stretched already."""
    seed: int
    generators: int
    """Processes that sent the load."""
    lost_workers: Sequence[str]
    hopeless: str | None
    """Why the run ended early, if nothing was accepted."""
    host: str
    began_at: float
    """When the shape's first stage began, in seconds since the epoch, like all other times."""
    visitors: int
    came: int
    latest_s: float
    busy_before: float
    """Load average of the load generator's machine at the start."""
    generator_cpu_s: float
    """CPU time of the load generator, which on one machine is taken from the system under load."""
    input_bytes: Mapping[str, int]
    """The size of each picture that visitors brought, by its name."""
    submissions: Sequence[Submission]
    """Those that were posted."""
    posted_at: Sequence[float]
    """The first POST of each picture that was submitted, accepted or not, except those that were cut off."""
    interrupted: bool
    """It was told to end early."""
    cut_off: int
    """Pictures that an interrupt stopped before they were accepted or refused; not a failure."""
    evaluated_at: float
    turned_away: int
    """Pictures that were submitted and never accepted."""
    refusals: Mapping[str, int]
    """Answers other than 202, by status; most of them were retried."""
    jobs: Sequence[FollowedJob]
    requests: Sequence[Request]
    observed: Observed | None
    verdict: Verdict
    objective_result: ObjectiveResult

    @classmethod
    def of(
        cls,
        load: Load,
        *,
        verdict: Verdict,
        objective: Objective,
        host: str,
        generator_cpu_s: float,
        observed: Observed | None,
        stretch: float = 1.0,
    ) -> RunSummary:
        """Summarise a run whose visitors have left. Raises EmptyRunError when nobody submitted anything."""
        ledger, schedule = load.ledger, load.begin()
        cut_off = ledger.cut_off if load.interrupted else []
        submitted = _submitted(load, cut_off)
        posted_at = first_posts(submitted)
        return cls(
            shape=load.shape,
            scale=load.scale,
            stretch=stretch,
            seed=load.seed,
            generators=max(1, len(load.workers_cpu_s)),
            lost_workers=tuple(load.lost_workers),
            hopeless=load.hopeless,
            host=host,
            began_at=schedule.began_at,
            visitors=schedule.visitors,
            came=schedule.came,
            latest_s=schedule.latest_s,
            busy_before=load.busy_before,
            generator_cpu_s=generator_cpu_s,
            input_bytes={name: len(picture) for name, picture in load.pictures.items()},
            submissions=tuple(ledger.posted),
            posted_at=posted_at,
            interrupted=load.interrupted,
            cut_off=pictures(cut_off),
            evaluated_at=load.clock(),
            turned_away=pictures(one for one in submitted if not one.job_ids),
            refusals=Counter(answer for submission in ledger.submissions for answer in submission.refusals),
            jobs=tuple(ledger.jobs.values()),
            requests=tuple(load.requests),
            observed=observed,
            verdict=verdict,
            objective_result=objective.evaluate(ledger.completed_s, asked=len(posted_at)),
        )

    @property
    def passed(self) -> bool:
        return not self.faults()

    def faults(self) -> list[str]:
        """Return why the run did not pass, one sentence per reason."""
        faults = []
        if not self.verdict.is_clean:
            counts = self.verdict.counts()
            broken = ", ".join(f"{counts[name]} {name}" for name in ("lost", "doubled", "stuck") if counts[name])
            faults.append(f"the ledger is not clean: {broken}")
        if not self.objective_result.is_met:
            reached, objective = self.objective_result.ratio, self.objective_result.objective
            faults.append(
                f"the objective did not hold: {reached * 100:.4g} % of {self.asked} pictures were done "
                f"within {objective.within_s:g} s, wanted are {objective.ratio * 100:.4g} %"
            )
        faults += [f"a load generator was lost: {worker}" for worker in self.lost_workers]
        if self.hopeless is not None:
            faults.append(f"ended early: {self.hopeless}")
        elif self.came < self.visitors and not self.lost_workers:
            cut_off = f", and {self.cut_off} pictures were cut off on their way in" if self.cut_off else ""
            faults.append(f"interrupted: {self.came} of {self.visitors} visitors had come{cut_off}")
        return faults

    def warnings(self) -> list[str]:
        """Return what a reader must know before trusting the numbers."""
        warnings = []
        if self.latest_s > _LATE_S:
            warnings.append(
                f"the load was late by up to {self.latest_s:.1f} s: this machine cannot send what the shape asks for"
            )
        cores = os.cpu_count() or 1
        if self.busy_before > cores * _BUSY:
            warnings.append(
                f"this machine was busy before the run: load average {self.busy_before:.1f} on {cores} cores"
            )
        if self.observed is not None and self.observed.trouble is not None:
            warnings.append(f"not everything could be observed: {self.observed.trouble}")
        return warnings

    @property
    def asked(self) -> int:
        """The number of pictures that were submitted."""
        return len(self.posted_at)

    @property
    def unfinished(self) -> int:
        return sum(job.ended_at is None for job in self.jobs)

    @property
    def ended_at(self) -> float:
        """When the last job's end was seen; or when the waiting ended, if some jobs have no end."""
        ends = [self.evaluated_at if job.ended_at is None else job.ended_at for job in self.jobs]
        return max(ends, default=self.began_at + self.shape.seconds)

    def job_times_s(self) -> dict[str, Spread]:
        """Return the times of completed jobs from the POST to the seen end: of all, and of each kind."""
        times: dict[str, list[float]] = {ALL: []}
        for job in self.jobs:
            if job.status is JobStatus.COMPLETED and job.took_s is not None:
                times[ALL].append(job.took_s)
                times.setdefault(job.order, []).append(job.took_s)
        return {name: Spread.of(values) for name, values in times.items() if values}

    def request_times_s(self) -> dict[str, tuple[Spread, int]]:
        """Return the times of each kind of HTTP request, and how many failed."""
        names = sorted({request.name for request in self.requests})
        return {name: self._requests_named(name) for name in names}

    def _requests_named(self, name: str) -> tuple[Spread, int]:
        alike = [request for request in self.requests if request.name == name]
        return Spread.of([request.took_s for request in alike]), sum(request.failed for request in alike)

    def cold_starts(self) -> dict[str, int]:
        seen = [] if self.observed is None else self.observed.cold_starts
        return dict(Counter(start.service for start in seen))

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        lines = [f"{self.shape.name}: {self.asked} pictures handed in by {self.came} visitors"]
        lines += [f"{name:<12}{count}" for name, count in self.verdict.counts().items()]
        lines += [f"{'refused':<12}{self.turned_away} pictures never accepted; answers {dict(self.refusals) or 'none'}"]
        for name, spread in self.job_times_s().items():
            lines.append(
                f"{'POST to end' if name == ALL else '':<12}{name:<18}{spread.count:>6} jobs, p50 {spread.p50:.2f} s, "
                f"p90 {spread.p90:.2f} s, p99 {spread.p99:.2f} s, most {spread.most:.2f} s"
            )
        lines += [f"  {case}" for case in self.verdict.cases()[:_CASES_SHOWN]]
        lines += [f"warning     {warning}" for warning in self.warnings()]
        if self.passed:
            within = (
                f"{self.objective_result.ratio * 100:.4g} % done within {self.objective_result.objective.within_s:g} s"
            )
            return [*lines, f"passed      nothing lost, doubled or stuck; {within}"]
        return [*lines, *(f"failed      {fault}" for fault in self.faults())]


def _submitted(load: Load, cut_off: Sequence[Submission]) -> list[Submission]:
    """Return what visitors submitted, without what an interrupt cut off. Raises EmptyRunError if there is nothing."""
    submitted = [one for one in load.ledger.posted if one not in cut_off]
    if not submitted:
        schedule = load.begin()
        raise EmptyRunError(
            f"nothing was handed in: {schedule.came} of {schedule.visitors} visitors came; the shape "
            f"{load.shape.name} at scale {load.scale:g} lasts {load.shape.seconds:g} s"
        )
    return submitted
