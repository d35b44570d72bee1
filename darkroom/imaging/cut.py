"""Turns a plan into an equivalent cut with less work, on the picture as stored or on a small copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from darkroom.contract.parameters.gravity import Compass
from darkroom.imaging.geometry import (
    Rect,
    Size,
    clamped,
    clamped_side,
    is_turned,
    placed,
    rounded,
    scaled_by,
    to_stored,
)
from darkroom.imaging.plan import Plan, windowed

# Lanczos3 reads three pixels on each side; one more for rounding.
_KERNEL_MARGIN_PX = 4


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A plan's scaling and window with less work: cut out `source` first, scale it to `scaled`, keep `window`."""

    source: Rect | None
    """None means the whole picture."""
    scaled: Size
    window: Rect


def cut(plan: Plan) -> Cut:
    """Compute the cut of a plan.

    Where a picture is enlarged, only what the window shows is scaled, since the whole might exceed libvips' size
    limits. Otherwise the whole picture is scaled, of which libvips computes only what the window needs.
    """
    window = plan.window
    if not plan.enlarges:
        return Cut(source=None, scaled=plan.scaled, window=window)
    across = _cut_axis(plan.source.width, plan.scaled.width, window.left, window.width)
    down = _cut_axis(plan.source.height, plan.scaled.height, window.top, window.height)
    return Cut(
        source=Rect(left=across.start, top=down.start, width=across.length, height=down.length),
        scaled=Size(width=across.scaled_length, height=down.scaled_length),
        window=Rect(left=across.window, top=down.window, width=window.width, height=window.height),
    )


@dataclass(frozen=True, kw_only=True)
class _AxisCut:
    start: int
    length: int
    scaled_length: int
    window: int


def _cut_axis(source: int, scaled: int, window: int, window_length: int) -> _AxisCut:
    scale = Fraction(scaled, source)
    start = max(0, floor(window / scale) - _KERNEL_MARGIN_PX)
    end = min(source, ceil((window + window_length) / scale) + _KERNEL_MARGIN_PX)
    scaled_length = max(window_length, rounded((end - start) * scale))
    return _AxisCut(
        start=start,
        length=end - start,
        scaled_length=scaled_length,
        window=clamped(rounded(window - start * scale), scaled_length - window_length),
    )


def stored_cut(work: Cut, whole: Size, orientation: int) -> Cut:
    """Return the same cut in the coordinates of the picture as stored."""
    return Cut(
        source=None if work.source is None else to_stored(work.source, whole, orientation),
        scaled=work.scaled.turned if is_turned(orientation) else work.scaled,
        window=to_stored(work.window, work.scaled, orientation),
    )


def on_proxy(plan: Plan, side_px: int) -> Plan:
    """Return the same window on a small copy of the picture, no side longer than `side_px`."""
    scale = min(Fraction(1), Fraction(side_px, max(plan.source.width, plan.source.height)))
    small = scaled_by(plan.source, scale)
    window = Size(
        width=clamped_side(rounded(Fraction(plan.window.width * small.width, plan.scaled.width)), small.width),
        height=clamped_side(rounded(Fraction(plan.window.height * small.height, plan.scaled.height)), small.height),
    )
    return windowed(plan.source, small, placed(window, small, Compass.CENTRE), plan.saliency or Compass.CENTRE)


def from_proxy(plan: Plan, proxy: Plan, found: Rect) -> Plan:
    """Return the plan with its window placed where it was found on the proxy."""
    left = rounded(Fraction(found.left * plan.scaled.width, proxy.scaled.width))
    top = rounded(Fraction(found.top * plan.scaled.height, proxy.scaled.height))
    return plan.settled(
        Rect(
            left=clamped(left, plan.scaled.width - plan.window.width),
            top=clamped(top, plan.scaled.height - plan.window.height),
            width=plan.window.width,
            height=plan.window.height,
        )
    )
