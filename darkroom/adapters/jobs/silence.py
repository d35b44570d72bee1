"""What an attempt is told to have died of that ended without a word: how long it was alive is all that is known."""

from __future__ import annotations

from darkroom.contract.errors import AttemptError, ImageCrashedError, JobTimeoutError

TIMED_OUT = "the attempt took longer than JOB_TIMEOUT (%g s) and its worker was killed"


def ended_without_a_word(*, lasted_s: float, job_timeout_s: float) -> AttemptError:
    return timed_out(job_timeout_s) if lasted_s >= job_timeout_s else crashed()


def crashed() -> ImageCrashedError:
    return ImageCrashedError("the worker ended without a word: it was killed, it crashed, or it was cut off")


def timed_out(job_timeout_s: float) -> JobTimeoutError:
    return JobTimeoutError(TIMED_OUT % job_timeout_s)
