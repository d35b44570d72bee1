"""From the plan to the pixels: the same with less work, on the picture as it is stored, or on a small copy of it."""

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

# Lanczos3 looks three pixels to each side; one more for rounding.
_KERNEL_MARGIN_PX = 4


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A plan's scaling and window with less work: cut `source` out first, scale it to `scaled`, keep `window`."""

    source: Rect | None
    """None is the whole picture."""
    scaled: Size
    window: Rect


def cut(drawn: Plan) -> Cut:
    """Where a picture is enlarged, only what the window shows is scaled: the whole might be larger than libvips can
    count. Elsewhere the whole picture is scaled, of which libvips computes only what the window needs."""
    window = drawn.window
    if not drawn.enlarges:
        return Cut(source=None, scaled=drawn.scaled, window=window)
    across = _cut_axis(drawn.source.width, drawn.scaled.width, window.left, window.width)
    down = _cut_axis(drawn.source.height, drawn.scaled.height, window.top, window.height)
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
    """The same cut of the picture as it is stored."""
    return Cut(
        source=None if work.source is None else to_stored(work.source, whole, orientation),
        scaled=work.scaled.turned if is_turned(orientation) else work.scaled,
        window=to_stored(work.window, work.scaled, orientation),
    )


def on_proxy(drawn: Plan, side_px: int) -> Plan:
    """The same window on a small copy of the picture, no side longer than `side_px`."""
    scale = min(Fraction(1), Fraction(side_px, max(drawn.source.width, drawn.source.height)))
    small = scaled_by(drawn.source, scale)
    window = Size(
        width=clamped_side(rounded(Fraction(drawn.window.width * small.width, drawn.scaled.width)), small.width),
        height=clamped_side(rounded(Fraction(drawn.window.height * small.height, drawn.scaled.height)), small.height),
    )
    return windowed(drawn.source, small, placed(window, small, Compass.CENTRE), drawn.saliency or Compass.CENTRE)


def from_proxy(drawn: Plan, proxy: Plan, found: Rect) -> Plan:
    """Settles the window where it was found on the proxy."""
    left = rounded(Fraction(found.left * drawn.scaled.width, proxy.scaled.width))
    top = rounded(Fraction(found.top * drawn.scaled.height, proxy.scaled.height))
    return drawn.settled(
        Rect(
            left=clamped(left, drawn.scaled.width - drawn.window.width),
            top=clamped(top, drawn.scaled.height - drawn.window.height),
            width=drawn.window.width,
            height=drawn.window.height,
        )
    )
