"""Finds the best quality at which a result is small enough, with few encodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

MAX_ENCODES = 6


def best_that_fits(encode: Callable[[int], bytes], quality: int, max_bytes: int) -> bytes:
    """Return the encoding with the highest quality found, from `quality` down to 1, that has at most `max_bytes`; the
    smallest one where none does. Encodes at most `MAX_ENCODES` times.
    """
    made = encode(quality)
    if len(made) <= max_bytes:
        return made
    smallest, fits = made, None
    low, high = 1, quality - 1
    for left in reversed(range(MAX_ENCODES - 1)):
        if low > high:
            break
        # The last try is for the smallest result, if nothing has fitted yet.
        tried = 1 if fits is None and left == 0 else (low + high + 1) // 2
        made = encode(tried)
        smallest = min(smallest, made, key=len)
        if len(made) <= max_bytes:
            fits, low = made, tried + 1
        else:
            high = tried - 1
    return smallest if fits is None else fits


def first_that_fits(encodes: Iterable[Callable[[], bytes]], max_bytes: int) -> bytes:
    """Return the first encoding of at most `max_bytes`; the smallest one where none is."""
    smallest: bytes | None = None
    for encode in encodes:
        made = encode()
        if len(made) <= max_bytes:
            return made
        smallest = made if smallest is None else min(smallest, made, key=len)
    if smallest is None:
        raise ValueError("there must be at least one encoding")
    return smallest
