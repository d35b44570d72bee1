"""The errors of attempts that ended without a word, and of claims that were never heard.

How long it was alive is all that is known of an attempt that ended without a word.
"""

from __future__ import annotations

from darkroom.contract.errors import AttemptError, DependencyUnavailableError, ImageCrashedError, JobTimeoutError

TIMED_OUT = "the attempt took longer than JOB_TIMEOUT (%g s) and its worker was killed"


def ended_without_a_word(*, lasted_s: float, job_timeout_s: float) -> AttemptError:
    return timed_out(job_timeout_s) if lasted_s >= job_timeout_s else crashed()


def crashed() -> ImageCrashedError:
    return ImageCrashedError("the worker ended without a word: it was killed, it crashed, or it was cut off")


def claim_unanswered() -> DependencyUnavailableError:
    """What a claim that was withdrawn leaves in the record."""
    return DependencyUnavailableError("jobs", "the answer to the claim was lost")


def claim_too_late() -> DependencyUnavailableError:
    return DependencyUnavailableError("jobs", "the claim came too late: it was withdrawn, or its lease has run out")


def timed_out(job_timeout_s: float) -> JobTimeoutError:
    return JobTimeoutError(TIMED_OUT % job_timeout_s)
