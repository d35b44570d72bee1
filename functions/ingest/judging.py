"""What a picture's header says of a submission, before a pixel is decoded: whether it may be, what it will cost."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.imaging import CostClass, Facts, checked_plan, cost_class, probe
from functions.ingest.submission import Submission


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A submission that may become a job."""

    submission: Submission
    facts: Facts
    cost_class: CostClass


def judge(submission: Submission, body: bytes, limits: Limits) -> Judged:
    """Raises RejectedError or PictureError, as `probe` and `checked_plan` do."""
    facts = probe(body, limits)
    plan = checked_plan(facts, submission.parameters, limits)
    cost = cost_class(facts, submission.parameters, plan=plan)
    return Judged(submission=submission, facts=facts, cost_class=cost)
