"""What a run came to: the facts that the terminal, the report and the exit code are made of."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from darkroom.contract.jobs import JobStatus
from loadtests.errors import EmptyRunError
from loadtests.ledger import FollowedJob, first_posts, pictures
from loadtests.load import Load, Request
from loadtests.objective import Judgement, Objective
from loadtests.observing import Observed
from loadtests.percentiles import Spread
from loadtests.shapes import Shape
from loadtests.verdict import Verdict

ALL = "all"
NOT_JUDGED = 2
"""The exit code of a run that came to no verdict; 0 and 1 are verdicts."""
_LATE_S = 1.0
"""A visitor who came later than this was kept by the load generator, not by what it loads."""
_BUSY = 0.75
"""A load average above this share of the cores leaves too little to measure anything else."""
_CASES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Outcome:
    shape: Shape
    scale: float
    host: str
    began_at: float
    """Of the shape's first stage, seconds since the epoch; all other times are such seconds too."""
    visitors: int
    came: int
    latest_s: float
    busy_before: float
    """Load average of the machine that the visitors came from, when they began."""
    generator_cpu_s: float
    """Processor time of the load itself, which on one machine is taken from what it loads."""
    asked_at: Sequence[float]
    """The first POST of each picture that was handed in, accepted or not; without those that were cut off."""
    cut_off: int
    """Pictures whose visitors an interrupt took away before they were accepted or refused: nobody's failure."""
    judged_at: float
    turned_away: int
    """Pictures that were handed in and never accepted."""
    refusals: Mapping[str, int]
    """Answers that were no 202, by status; most of them were tried again."""
    jobs: Sequence[FollowedJob]
    requests: Sequence[Request]
    observed: Observed | None
    verdict: Verdict
    judgement: Judgement

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
    ) -> Outcome:
        """Raises EmptyRunError when nobody handed in anything."""
        ledger, schedule = load.ledger, load.begin()
        cut_off = ledger.cut_off if load.interrupted else []
        handed_in = [one for one in ledger.posted if one not in cut_off]
        if not handed_in:
            raise EmptyRunError(
                f"nothing was handed in: {schedule.came} of {schedule.visitors} visitors came; the shape "
                f"{load.shape.name} at scale {load.scale:g} lasts {load.shape.seconds:g} s"
            )
        asked_at = first_posts(handed_in)
        return cls(
            shape=load.shape,
            scale=load.scale,
            host=host,
            began_at=schedule.began_at,
            visitors=schedule.visitors,
            came=schedule.came,
            latest_s=schedule.latest_s,
            busy_before=load.busy_before,
            generator_cpu_s=generator_cpu_s,
            asked_at=asked_at,
            cut_off=pictures(cut_off),
            judged_at=load.clock(),
            turned_away=pictures(one for one in handed_in if not one.job_ids),
            refusals=Counter(answer for submission in ledger.submissions for answer in submission.refusals),
            jobs=tuple(ledger.jobs.values()),
            requests=tuple(load.requests),
            observed=observed,
            verdict=verdict,
            judgement=objective.judge(ledger.completed_s, asked=len(asked_at)),
        )

    @property
    def passed(self) -> bool:
        return not self.faults()

    def faults(self) -> list[str]:
        """Why the run did not pass, a sentence each."""
        faults = []
        if not self.verdict.is_clean:
            counts = self.verdict.counts()
            broken = ", ".join(f"{counts[name]} {name}" for name in ("lost", "doubled", "stuck") if counts[name])
            faults.append(f"the ledger is not clean: {broken}")
        if not self.judgement.held:
            objective = self.judgement.objective
            faults.append(
                f"the objective did not hold: {self.judgement.ratio * 100:.4g} % of {self.asked} pictures were done "
                f"within {objective.within_s:g} s, wanted are {objective.ratio * 100:.4g} %"
            )
        if self.came < self.visitors:
            cut_off = f", and {self.cut_off} pictures were cut off on their way in" if self.cut_off else ""
            faults.append(f"interrupted: {self.came} of {self.visitors} visitors had come{cut_off}")
        return faults

    def warnings(self) -> list[str]:
        """What a reader has to know before he trusts the numbers."""
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
            warnings.append(f"not all could be observed: {self.observed.trouble}")
        return warnings

    @property
    def asked(self) -> int:
        """Pictures that were handed in."""
        return len(self.asked_at)

    @property
    def unfinished(self) -> int:
        return sum(job.ended_at is None for job in self.jobs)

    @property
    def ended_at(self) -> float:
        """When the last job's end was seen; when nobody waited any longer, if some have none."""
        ends = [self.judged_at if job.ended_at is None else job.ended_at for job in self.jobs]
        return max(ends, default=self.began_at + self.shape.seconds)

    def job_times_s(self) -> dict[str, Spread]:
        """From the POST to the seen end of completed jobs: all, and each kind."""
        times: dict[str, list[float]] = {ALL: []}
        for job in self.jobs:
            if job.status is JobStatus.COMPLETED and job.took_s is not None:
                times[ALL].append(job.took_s)
                times.setdefault(job.order, []).append(job.took_s)
        return {name: Spread.of(values) for name, values in times.items() if values}

    def request_times_s(self) -> dict[str, tuple[Spread, int]]:
        """Of every kind of HTTP request, with how many failed."""
        names = sorted({request.name for request in self.requests})
        return {name: self._requests_named(name) for name in names}

    def _requests_named(self, name: str) -> tuple[Spread, int]:
        alike = [request for request in self.requests if request.name == name]
        return Spread.of([request.took_s for request in alike]), sum(request.failed for request in alike)

    def cold_starts(self) -> dict[str, int]:
        seen = [] if self.observed is None else self.observed.cold_starts
        return dict(Counter(start.service for start in seen))

    def lines(self) -> list[str]:
        """For the terminal."""
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
            within = f"{self.judgement.ratio * 100:.4g} % done within {self.judgement.objective.within_s:g} s"
            return [*lines, f"passed      nothing lost, doubled or stuck; {within}"]
        return [*lines, *(f"failed      {fault}" for fault in self.faults())]
