"""The errors of lost attempts, which ended without reporting, and of claims whose answer was lost.

All that is known of a lost attempt is how long it was alive.
"""

from __future__ import annotations

from darkroom.contract.errors import AttemptError, DependencyUnavailableError, ImageCrashedError, JobTimeoutError

TIMEOUT_MESSAGE = "the attempt took longer than JOB_TIMEOUT (%g s) and its worker was killed"


def lost_attempt_error(*, lasted_s: float, job_timeout_s: float) -> AttemptError:
    return timeout_error(job_timeout_s) if lasted_s >= job_timeout_s else crash_error()


def crash_error() -> ImageCrashedError:
    return ImageCrashedError("the worker ended without reporting: it was killed, it crashed, or it was cut off")


def unanswered_claim_error() -> DependencyUnavailableError:
    """The error that a withdrawn claim leaves in the record."""
    return DependencyUnavailableError("jobs", "the answer to the claim was lost")


def late_claim_error() -> DependencyUnavailableError:
    return DependencyUnavailableError("jobs", "the claim came too late: it was withdrawn, or its lease has run out")


def timeout_error(job_timeout_s: float) -> JobTimeoutError:
    return JobTimeoutError(TIMEOUT_MESSAGE % job_timeout_s)
