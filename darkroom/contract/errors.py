"""Everything that can go wrong, as one short tree. Its roots are in `darkroom.errors`.

DarkroomError                   code, HTTP status, detail
├── RejectedError               the caller's doing; nothing was accepted
│   ├── ParametersInvalidError      parameters.invalid      400
│   ├── PresetUnknownError          preset.unknown          400
│   ├── PresetRequiredError         preset.required         400
│   ├── EventInvalidError           event.invalid           400
│   ├── RequestMalformedError       request.malformed       400
│   ├── AuthMissingError            auth.missing            401
│   ├── AuthInvalidError            auth.invalid            401
│   ├── HostRefusedError            host.refused            403
│   ├── OriginRefusedError          origin.refused          403
│   ├── SignatureInvalidError       signature.invalid       403
│   ├── JobNotFoundError            job.not_found           404
│   ├── InputNotFoundError          input.not_found         404
│   ├── RouteNotFoundError          route.not_found         404
│   ├── MethodNotAllowedError       method.not_allowed      405
│   ├── RequestTimeoutError         request.timeout         408
│   ├── JobFinalError               job.final               409
│   ├── InputExistsError            input.exists            412
│   ├── InputTooLargeError          input.too_large         413
│   ├── InputUnsupportedError       input.unsupported       415
│   ├── IdempotencyMismatchError    idempotency.mismatch    422
│   ├── RateLimitedError            rate.limited            429
│   └── QuotaExceededError          quota.exceeded          429
├── PictureError                the picture or what is asked of it; permanent, never tried again
│   ├── ImageTooManyPixelsError     image.too_many_pixels   422
│   ├── ImageCorruptError           image.corrupt           422
│   ├── ImageTruncatedError         image.truncated         422
│   ├── ImageTooManyFramesError     image.too_many_frames   422
│   ├── ImageTooManyScansError      image.too_many_scans    422
│   ├── CropOutOfBoundsError        crop.out_of_bounds      422
│   ├── ResultTooLargeError         result.too_large        422
│   └── RenditionFailedError        rendition.failed        422
├── AttemptError                an attempt that was cut short; the job fails with it once its attempts are spent
│   ├── JobTimeoutError             job.timeout             500
│   └── ImageCrashedError           image.crashed           500
├── JobCancelledError           the owner's wish, no fault: job.cancelled
├── DependencyUnavailableError  another try may succeed: dependency.unavailable 503
├── ServerBusyError             another try may succeed: server.busy            503
├── BacklogFullError            another try may succeed: backlog.full           503
│   └── JobUnreadableError          job.unreadable          503   ... by another version of Darkroom
├── InstanceBrokenError, RevisionFailingError, RevisionOverloadedError, RevisionTimeoutError, RouteTimeoutError:
│                                   the gateway's, 502 to 504
└── InternalError               a fault of ours: internal   500

UnknownJobTypeError             a name that is not in the table of job types; a ValueError, as validators raise them

A handler asks one question of an error: is it permanent (`PictureError`, `RejectedError`), or worth another try
(`DependencyUnavailableError`)?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darkroom.contract.unreadable import CODE, UnreadableJob
from darkroom.errors import (
    DarkroomError,
    DependencyUnavailableError,
    EventInvalidError,
    FieldError,
    HostRefusedError,
    InstanceBrokenError,
    InternalError,
    MethodNotAllowedError,
    OriginRefusedError,
    RejectedError,
    RequestMalformedError,
    RequestTimeoutError,
    RevisionFailingError,
    RevisionOverloadedError,
    RevisionTimeoutError,
    RouteNotFoundError,
    RouteTimeoutError,
    ServerBusyError,
)

__all__ = [
    "AttemptError",
    "AuthInvalidError",
    "AuthMissingError",
    "BacklogFullError",
    "CropOutOfBoundsError",
    "DarkroomError",
    "DependencyUnavailableError",
    "EventInvalidError",
    "FieldError",
    "HostRefusedError",
    "IdempotencyMismatchError",
    "ImageCorruptError",
    "ImageCrashedError",
    "ImageTooManyFramesError",
    "ImageTooManyPixelsError",
    "ImageTooManyScansError",
    "ImageTruncatedError",
    "InputExistsError",
    "InputNotFoundError",
    "InputTooLargeError",
    "InputUnsupportedError",
    "InstanceBrokenError",
    "InternalError",
    "JobCancelledError",
    "JobFinalError",
    "JobNotFoundError",
    "JobTimeoutError",
    "JobUnreadableError",
    "MethodNotAllowedError",
    "OriginRefusedError",
    "ParametersInvalidError",
    "PictureError",
    "PresetRequiredError",
    "PresetUnknownError",
    "QuotaExceededError",
    "RateLimitedError",
    "RejectedError",
    "RenditionFailedError",
    "RequestMalformedError",
    "RequestTimeoutError",
    "ResultTooLargeError",
    "RevisionFailingError",
    "RevisionOverloadedError",
    "RevisionTimeoutError",
    "RouteNotFoundError",
    "RouteTimeoutError",
    "ServerBusyError",
    "SignatureInvalidError",
    "UnknownJobTypeError",
    "client_fault_codes",
]


class UnknownJobTypeError(ValueError):
    """An unknown name. The message lists the table's names and suggests the nearest."""


class ParametersInvalidError(RejectedError):
    code = "parameters.invalid"
    status = 400
    title = "Invalid parameters"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = tuple(errors)

    def extensions(self) -> dict[str, Any]:
        return {"errors": [error.as_dict() for error in self.errors]}


class PresetUnknownError(RejectedError):
    code = "preset.unknown"
    status = 400
    title = "No such preset"


class PresetRequiredError(RejectedError):
    """Parameters where the deployment makes presets only (PRESETS_ONLY)."""

    code = "preset.required"
    status = 400
    title = "Only presets are made"


class AuthMissingError(RejectedError):
    code = "auth.missing"
    status = 401
    title = "API key missing"

    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class AuthInvalidError(RejectedError):
    code = "auth.invalid"
    status = 401
    title = "API key unknown or revoked"

    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class SignatureInvalidError(RejectedError):
    """A signed URL of ours that was changed, has expired, or is used with another method."""

    code = "signature.invalid"
    status = 403
    title = "Signed URL invalid"


class JobNotFoundError(RejectedError):
    code = "job.not_found"
    status = 404
    title = "No such job"


class JobFinalError(RejectedError):
    """A job that has ended cannot be cancelled."""

    code = "job.final"
    status = 409
    title = "Job has ended"


class InputNotFoundError(RejectedError):
    code = "input.not_found"
    status = 404
    title = "No such input"


class InputExistsError(RejectedError):
    """An upload to a key that has a picture already, which is never replaced."""

    code = "input.exists"
    status = 412
    title = "Input exists already"


class InputTooLargeError(RejectedError):
    code = "input.too_large"
    status = 413
    title = "Input too large"


class InputUnsupportedError(RejectedError):
    code = "input.unsupported"
    status = 415
    title = "Not an allowed image format"


class IdempotencyMismatchError(RejectedError):
    code = "idempotency.mismatch"
    status = 422
    title = "Idempotency key used for another request"


class RateLimitedError(RejectedError):
    code = "rate.limited"
    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class QuotaExceededError(RejectedError):
    """The key has as many unfinished jobs as it may have."""

    code = "quota.exceeded"
    status = 429
    title = "Too many unfinished jobs"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class BacklogFullError(DarkroomError):
    """No job of anybody is accepted for now: too many are unfinished, or the job store's memory is nearly full."""

    code = "backlog.full"
    status = 503
    title = "Too many jobs wait"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class PictureError(DarkroomError):
    """The picture cannot be processed as requested, now or ever."""

    status = 422


class ImageTooManyPixelsError(PictureError):
    code = "image.too_many_pixels"
    title = "Too many pixels"


class ImageCorruptError(PictureError):
    code = "image.corrupt"
    title = "Corrupt picture"


class ImageTruncatedError(PictureError):
    code = "image.truncated"
    title = "Truncated picture"


class ImageTooManyFramesError(PictureError):
    code = "image.too_many_frames"
    title = "Too many frames"


class ImageTooManyScansError(PictureError):
    code = "image.too_many_scans"
    title = "Too many scans"


class CropOutOfBoundsError(PictureError):
    code = "crop.out_of_bounds"
    title = "Crop outside the picture"


class ResultTooLargeError(PictureError):
    code = "result.too_large"
    title = "Result does not fit into max_bytes"


class RenditionFailedError(PictureError):
    """Some renditions of a job cannot be made; the others stand. Each has its own error in the job's `results`."""

    code = "rendition.failed"
    title = "Not all renditions can be made"


class AttemptError(DarkroomError):
    """The attempt ended without a result and without a report from the function."""


class JobTimeoutError(AttemptError):
    code = "job.timeout"
    title = "Job ran out of time"


class ImageCrashedError(AttemptError):
    code = "image.crashed"
    title = "The worker died on this picture"


class JobCancelledError(DarkroomError):
    """The job's owner has cancelled it."""

    code = "job.cancelled"
    title = "Job cancelled"


class JobUnreadableError(DependencyUnavailableError):
    """The job's record cannot be read by this version of Darkroom. The job is left to one that can."""

    code = CODE
    title = "Job record of another version"

    def __init__(self, job: UnreadableJob) -> None:
        super().__init__("jobs", f"job {job.job_id}: {job.message}", retry_after_s=30)
        self.job = job


def client_fault_codes() -> frozenset[str]:
    """Return the error codes of jobs that failed because of their picture or their request, or were cancelled.

    `input.not_found` is not among them: ingest had the picture, so its loss since then is not the client's fault.
    """
    kinds: list[type[DarkroomError]] = [*RejectedError.__subclasses__(), *PictureError.__subclasses__()]
    return (frozenset(kind.code for kind in kinds) | {JobCancelledError.code}) - {InputNotFoundError.code}
