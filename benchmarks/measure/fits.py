"""Fits costs by least squares on relative errors, with no cost below zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Terms = Mapping[str, float]
"""How much of each term an observation has, by the term's name."""


def fit(observed: Sequence[tuple[Terms, float]]) -> dict[str, float]:
    """Return each term's cost. A term whose cost would be negative is 0, and the others are fitted without it."""
    names = sorted({name for terms, _ in observed for name in terms})
    left = list(names)
    while left:
        rows = np.array([[terms.get(name, 0.0) / value for name in left] for terms, value in observed])
        solved, *_ = np.linalg.lstsq(rows, np.ones(len(observed)), rcond=None)
        negative = [name for name, cost in zip(left, solved, strict=True) if cost < 0]
        if not negative:
            return {**dict.fromkeys(names, 0.0), **dict(zip(left, map(float, solved), strict=True))}
        worst = min(zip(solved, left, strict=True))[1]
        left.remove(worst)
    return dict.fromkeys(names, 0.0)


def residuals(observed: Sequence[tuple[Terms, float]], costs: Mapping[str, float]) -> list[float]:
    """Return fitted / observed for each observation."""
    return [sum(costs[name] * amount for name, amount in terms.items()) / value for terms, value in observed]
