"""Arrivals whose gaps have a heavy tail, as those of many independent people have: most are short, a few are long.

The gaps follow a Pareto distribution of the second type (Lomax), which begins at zero. With an exponent of at most 2
their variance is infinite: such traffic comes in clusters on every time scale, which averages hide and autoscalers feel
(W. E. Leland et al., "On the self-similar nature of Ethernet traffic", 1994; M. E. Crovella and A. Bestavros,
"Self-similarity in World Wide Web traffic", 1997).
"""

from __future__ import annotations

from itertools import accumulate
from random import Random


def heavy_tailed(visitors: int, *, seconds: float, tail: float, seed: int) -> tuple[float, ...]:
    """Return when each visitor comes, in seconds: as many as asked for, within the time. The same seed is the same
    arrivals.
    """
    draw = Random(seed)  # noqa: S311 (arrivals, not secrets)
    gaps = [draw.paretovariate(tail) - 1 for _ in range(visitors)]
    share = seconds / sum(gaps) if gaps else 0.0
    # The first gap is the pause after the last visitor, so that the first one comes at once.
    return tuple(share * gap for gap in accumulate([0.0, *gaps[1:]])) if gaps else ()
