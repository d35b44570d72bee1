"""The load tests' shapes by name, perhaps scaled: `burst`, `burst*0.5`, `steady*2`, `diurnal*10@3600`."""

from __future__ import annotations

import re

from darkroom.arrivals import SHAPES
from darkroom.simulate.traffic.model import MOST_ARRIVALS, Traffic, TrafficError

_NAMED = re.compile(r"(?P<name>[a-z-]+)(?:\*(?P<scale>\d+(?:\.\d+)?))?(?:@(?P<seconds>\d+(?:\.\d+)?)s?)?", re.ASCII)


def is_shape(text: str) -> bool:
    match = _NAMED.fullmatch(text)
    return match is not None and match["name"] in SHAPES


def read_shape(text: str, *, seed: int) -> Traffic:
    """Make the traffic of a shape; `*` multiplies its rates, `@` sets its length in seconds. Raises TrafficError."""
    match = _NAMED.fullmatch(text)
    if match is None or match["name"] not in SHAPES:
        raise TrafficError(f"there is no shape {text!r}; there are {', '.join(SHAPES)}")
    shape, scale = SHAPES[match["name"]], float(match["scale"] or 1)
    if match["seconds"]:
        shape = shape.stretched(float(match["seconds"]) / shape.seconds)
    expected = scale * shape.visitors
    if not 1 <= expected <= MOST_ARRIVALS:
        raise TrafficError(f"{text} is {expected:,.1f} requests; it must be 1 to {MOST_ARRIVALS:,}")
    return Traffic(source=text, arrivals_s=shape.arrivals_s(scale=scale, seed=seed), span_s=shape.seconds)
