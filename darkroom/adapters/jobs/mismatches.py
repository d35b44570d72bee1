"""The error for an idempotency key or a job id that was used before; for a batch, with an entry for each request."""

from __future__ import annotations

from collections.abc import Collection

from darkroom.contract.errors import IdempotencyMismatchError


def idempotency_mismatch(places: Collection[int], *, of: int) -> IdempotencyMismatchError:
    """`places` are the refused requests' positions, from 0, in a batch of `of` requests."""
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
