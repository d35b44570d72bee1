"""Checks a submission by its picture's header, before a pixel is decoded: whether it is allowed, and what it will
cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.contract.errors import FieldError, ParametersInvalidError, PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.imaging import (
    CostClass,
    Facts,
    checked_plan,
    checked_renditions,
    cost_class,
    estimate,
    renditions_cost,
    renditions_cost_class,
)
from darkroom.serving.picture import rendition_requests
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
    submission: Submission, facts: Facts, limits: Limits, *, overlays: Mapping[str, Facts] | None = None
) -> CheckedSubmission:
    """Check what is asked of a picture with these facts; `overlays` are the facts of the overlays by storage key.

    Raises RejectedError or PictureError, as `checked_plan` does.
    """
    parameters = submission.parameters
    if isinstance(parameters, RenditionsParameters):
        return _check_renditions(submission, parameters, facts, limits)
    if not isinstance(parameters, OutputParameters):
        raise TypeError(f"no picture can be made of {type(parameters).__name__}")
    plan = checked_plan(facts, parameters, limits)
    overlay = next(iter((overlays or {}).values()), None)
    cost = estimate(facts, parameters, plan=plan, overlay=overlay)
    return CheckedSubmission(
        submission=submission,
        facts=facts,
        cost_class=cost_class(facts, parameters, cost=cost),
        cpu_ms=max(1, cost.cpu_ms),
    )


def _check_renditions(
    submission: Submission, parameters: RenditionsParameters, facts: Facts, limits: Limits
) -> CheckedSubmission:
    """Check all renditions; one that the header shows to be impossible refuses the job."""
    requests = rendition_requests(parameters)
    for name, error in checked_renditions(facts, requests, limits).items():
        raise _within_rendition(name, error)
    cost = renditions_cost(facts, requests)
    return CheckedSubmission(
        submission=submission,
        facts=facts,
        cost_class=renditions_cost_class(facts, requests, cost=cost),
        cpu_ms=max(1, cost.cpu_ms),
    )


def _within_rendition(name: str, error: PictureError | RejectedError) -> PictureError | RejectedError:
    """Return the error with the rendition's name before what it says."""
    if isinstance(error, ParametersInvalidError):
        where = f"renditions.{name}.parameters"
        return ParametersInvalidError(
            [FieldError(field=f"{where}.{one.field}", message=one.message, value=one.value) for one in error.errors]
        )
    return type(error)(f"rendition {name!r}: {error.detail}")
