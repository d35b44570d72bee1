"""Checks a submission by its picture's header, before a pixel is decoded: whether it is allowed, and what it will
cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.contract.limits import Limits
from darkroom.imaging import CostClass, Facts, checked_plan, cost_class, estimate
from functions.ingest.submission import Submission


@dataclass(frozen=True, kw_only=True)
class CheckedSubmission:
    """A submission that may become a job."""

    submission: Submission
    facts: Facts
    cost_class: CostClass
    cpu_ms: int
    """The estimated cost, by which turns in a lane are counted."""


def check_submission(
    submission: Submission, facts: Facts, limits: Limits, *, overlay: Facts | None = None
) -> CheckedSubmission:
    """Check what is asked of a picture with these facts, and of an overlay with its own.

    Raises RejectedError or PictureError, as `checked_plan` does.
    """
    plan = checked_plan(facts, submission.parameters, limits)
    cost = estimate(facts, submission.parameters, plan=plan, overlay=overlay)
    return CheckedSubmission(
        submission=submission,
        facts=facts,
        cost_class=cost_class(facts, submission.parameters, cost=cost),
        cpu_ms=max(1, cost.cpu_ms),
    )
