"""The error of requests whose idempotency key or job id was used before, for a batch with a verdict on each of it."""

from __future__ import annotations

from collections.abc import Collection

from darkroom.contract.errors import IdempotencyMismatchError


def idempotency_mismatch(places: Collection[int], *, of: int) -> IdempotencyMismatchError:
    """`places` of a batch of so many begin at 0."""
    errors = [
        IdempotencyMismatchError("the Idempotency-Key or the job id was used before, for another request")
        if place in places
        else None
        for place in range(of)
    ]
    first = next(error for error in errors if error is not None)
    if of > 1:
        first.batch_errors = tuple(errors)
    return first
