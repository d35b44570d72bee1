"""The arithmetic of resize and crop: which part of the picture, how large, where on the canvas.

Whole numbers and fractions, no pixels: everything can be known from the header. All sizes and places are in pixels of
the oriented picture, or of it after scaling; `to_stored` turns them round for a picture that is stored otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from darkroom.contract.errors import CropOutOfBoundsError
from darkroom.contract.parameters import (
    Bounds,
    Compass,
    CropParameters,
    Fit,
    FocalPoint,
    Gravity,
    Parameters,
    ResizeParameters,
    Saliency,
)

# Lanczos3 looks three pixels to each side; one more for rounding.
_KERNEL_MARGIN_PX = 4


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def turned(self) -> Size:
        return Size(width=self.height, height=self.width)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, kw_only=True)
class Rect:
    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return Size(width=self.width, height=self.height)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Scale the whole picture to `scaled`, keep `window` of it, lay that on a canvas of `output`."""

    source: Size
    scaled: Size
    window: Rect
    """In the scaled picture. Only its size counts while `saliency` is set."""
    saliency: Saliency | None = None
    """How the window's place is to be found; None where it is known."""
    canvas: Rect
    """Where on the output the window lies."""
    output: Size

    @property
    def enlarges(self) -> bool:
        return self.scaled.width > self.source.width or self.scaled.height > self.source.height

    @property
    def shrinks(self) -> bool:
        return self.scaled.width < self.source.width or self.scaled.height < self.source.height

    def showing_all(self) -> Plan:
        return replace(self, window=_at_origin(self.scaled), saliency=None)

    def settled(self, window: Rect) -> Plan:
        return replace(self, window=window, saliency=None)


def plan(source: Size, parameters: Parameters) -> Plan:
    """Raises CropOutOfBoundsError where the crop does not lie inside the picture."""
    if isinstance(parameters, CropParameters):
        return _plan_crop(source, parameters)
    return _plan_resize(source, parameters)


# --- resize ----------------------------------------------------------------------------------------------------------


def _plan_resize(source: Size, parameters: ResizeParameters) -> Plan:
    if parameters.width is None or parameters.height is None:
        return _whole(source, _scaled_to_one_side(source, parameters))
    box = _box(source, parameters, parameters.width, parameters.height)
    match parameters.fit:
        case Fit.INSIDE | Fit.OUTSIDE:
            return _whole(source, _scaled_by(source, _uniform_scale(source, box, parameters)))
        case Fit.CONTAIN:
            scaled = _scaled_by(source, _uniform_scale(source, box, parameters))
            return _laid_on(_whole(source, scaled), box)
        case Fit.FILL:
            return _whole(source, _without_enlarging(source, box, parameters))
        case Fit.COVER:
            return _covering(source, _without_enlarging(source, box, parameters), parameters.gravity)


def _box(source: Size, parameters: ResizeParameters, width: int, height: int) -> Size:
    """The asked size in device pixels. Without `enlarge`, `dpr` ends where the picture's own pixels do, but not below
    1."""
    dpr = Fraction(parameters.dpr)
    if not parameters.enlarge:
        scale = _fit_scale(source, Size(width=width, height=height), parameters.fit)
        dpr = max(Fraction(1), min(dpr, 1 / scale))
    return Size(width=_rounded(width * dpr), height=_rounded(height * dpr))


def _fit_scale(source: Size, box: Size, fit: Fit) -> Fraction:
    """The larger of both axes' scales where the box must be covered, else the smaller."""
    across, down = Fraction(box.width, source.width), Fraction(box.height, source.height)
    return min(across, down) if fit in (Fit.INSIDE, Fit.CONTAIN) else max(across, down)


def _uniform_scale(source: Size, box: Size, parameters: ResizeParameters) -> Fraction:
    scale = _fit_scale(source, box, parameters.fit)
    return scale if parameters.enlarge else min(Fraction(1), scale)


def _scaled_to_one_side(source: Size, parameters: ResizeParameters) -> Size:
    """With one side given every fit is the same: the other side follows from the picture's shape."""
    if parameters.width is not None:
        asked, own = parameters.width, source.width
    else:
        asked, own = parameters.height or 1, source.height
    dpr = Fraction(parameters.dpr)
    if not parameters.enlarge:
        dpr = max(Fraction(1), min(dpr, Fraction(own, asked)))
    scale = Fraction(_rounded(asked * dpr), own)
    return _scaled_by(source, scale if parameters.enlarge else min(Fraction(1), scale))


def _without_enlarging(source: Size, box: Size, parameters: ResizeParameters) -> Size:
    """The box, or the largest of its shape that needs no pixel invented."""
    if parameters.enlarge:
        return box
    shrink = min(Fraction(1), Fraction(source.width, box.width), Fraction(source.height, box.height))
    return _scaled_by(box, shrink)


def _covering(source: Size, box: Size, gravity: Gravity) -> Plan:
    scale = max(Fraction(box.width, source.width), Fraction(box.height, source.height))
    scaled = _at_least(_scaled_by(source, scale), box)
    return _windowed(source, scaled, _placed(box, scaled, gravity), gravity)


def _whole(source: Size, scaled: Size) -> Plan:
    return _windowed(source, scaled, _at_origin(scaled), Compass.CENTRE)


def _windowed(source: Size, scaled: Size, window: Rect, gravity: Gravity) -> Plan:
    return Plan(
        source=source,
        scaled=scaled,
        window=window,
        saliency=gravity if isinstance(gravity, Saliency) and window.size != scaled else None,
        canvas=_at_origin(window.size),
        output=window.size,
    )


def _laid_on(drawn: Plan, output: Size) -> Plan:
    return replace(drawn, canvas=_placed(drawn.scaled, output, Compass.CENTRE), output=output)


# --- crop ------------------------------------------------------------------------------------------------------------


def _plan_crop(source: Size, parameters: CropParameters) -> Plan:
    area = _crop_area(source, parameters)
    output = _crop_output(area, parameters)
    scale = max(Fraction(output.width, area.width), Fraction(output.height, area.height))
    scaled = _at_least(_scaled_by(source, scale), output)
    window = Rect(
        left=_clamped(_rounded(area.left * scale), scaled.width - output.width),
        top=_clamped(_rounded(area.top * scale), scaled.height - output.height),
        width=output.width,
        height=output.height,
    )
    return _windowed(source, scaled, window, parameters.gravity)


def _crop_area(source: Size, parameters: CropParameters) -> Rect:
    """The part of the picture that is kept."""
    if parameters.x is None or parameters.y is None:
        return _placed(_area_size(source, source, parameters), source, parameters.gravity)
    if parameters.x >= source.width or parameters.y >= source.height:
        raise CropOutOfBoundsError(
            f"the crop begins at {parameters.x},{parameters.y}, outside the picture of {source} px"
        )
    room = Size(width=source.width - parameters.x, height=source.height - parameters.y)
    size = _area_size(source, room, parameters)
    return Rect(left=parameters.x, top=parameters.y, width=size.width, height=size.height)


def _area_size(source: Size, room: Size, parameters: CropParameters) -> Size:
    ratio = parameters.ratio
    if ratio is not None:
        return _largest_of_ratio(room, Fraction(*ratio))
    asked = Size(width=parameters.width or room.width, height=parameters.height or room.height)
    if asked.width <= room.width and asked.height <= room.height:
        return asked
    if parameters.bounds is Bounds.ERROR:
        place = "" if parameters.x is None else f" at {parameters.x},{parameters.y}"
        raise CropOutOfBoundsError(f"the crop of {asked} px{place} does not lie in the picture of {source} px")
    return Size(width=min(asked.width, room.width), height=min(asked.height, room.height))


def _largest_of_ratio(room: Size, ratio: Fraction) -> Size:
    if room.width <= room.height * ratio:
        return Size(width=room.width, height=_clamped_side(_rounded(room.width / ratio), room.height))
    return Size(width=_clamped_side(_rounded(room.height * ratio), room.width), height=room.height)


def _crop_output(area: Rect, parameters: CropParameters) -> Size:
    """The area itself, or with `aspect` and one side the area scaled down to that side. A crop never enlarges."""
    if parameters.ratio is None or (parameters.width is None and parameters.height is None):
        return area.size
    if parameters.width is not None:
        side, asked, own = "width", parameters.width, area.width
    else:
        side, asked, own = "height", parameters.height or 1, area.height
    if asked > own and parameters.bounds is Bounds.ERROR:
        raise CropOutOfBoundsError(
            f"{side} {asked} is more than the {own} px of the largest {parameters.aspect} area; a crop never enlarges"
        )
    scale = min(Fraction(1), Fraction(asked, own))
    ratio = Fraction(*parameters.ratio)
    if scale == 1:
        return area.size
    if side == "width":
        return Size(width=asked, height=_clamped_side(_rounded(asked / ratio), area.height))
    return Size(width=_clamped_side(_rounded(asked * ratio), area.width), height=asked)


# --- from the plan to the pixels -------------------------------------------------------------------------------------


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
    scaled_length = max(window_length, _rounded((end - start) * scale))
    return _AxisCut(
        start=start,
        length=end - start,
        scaled_length=scaled_length,
        window=_clamped(_rounded(window - start * scale), scaled_length - window_length),
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
    small = _scaled_by(drawn.source, scale)
    window = Size(
        width=_clamped_side(_rounded(Fraction(drawn.window.width * small.width, drawn.scaled.width)), small.width),
        height=_clamped_side(_rounded(Fraction(drawn.window.height * small.height, drawn.scaled.height)), small.height),
    )
    return _windowed(drawn.source, small, _placed(window, small, Compass.CENTRE), drawn.saliency or Compass.CENTRE)


def from_proxy(drawn: Plan, proxy: Plan, found: Rect) -> Plan:
    """Settles the window where it was found on the proxy."""
    left = _rounded(Fraction(found.left * drawn.scaled.width, proxy.scaled.width))
    top = _rounded(Fraction(found.top * drawn.scaled.height, proxy.scaled.height))
    return drawn.settled(
        Rect(
            left=_clamped(left, drawn.scaled.width - drawn.window.width),
            top=_clamped(top, drawn.scaled.height - drawn.window.height),
            width=drawn.window.width,
            height=drawn.window.height,
        )
    )


def to_stored(rect: Rect, oriented: Size, orientation: int) -> Rect:
    """Where a rectangle of the oriented picture lies in the stored one (EXIF 2.32, 4.6.4, tag 0x0112)."""
    right = oriented.width - rect.left - rect.width
    bottom = oriented.height - rect.top - rect.height
    left, top = {
        1: (rect.left, rect.top),
        2: (right, rect.top),
        3: (right, bottom),
        4: (rect.left, bottom),
        5: (rect.top, rect.left),
        6: (rect.top, right),
        7: (bottom, right),
        8: (bottom, rect.left),
    }[orientation]
    if is_turned(orientation):
        return Rect(left=left, top=top, width=rect.height, height=rect.width)
    return Rect(left=left, top=top, width=rect.width, height=rect.height)


def is_turned(orientation: int) -> bool:
    """Whether orienting swaps width and height."""
    return orientation >= 5


def _placed(size: Size, within: Size, gravity: Gravity) -> Rect:
    room_across, room_down = within.width - size.width, within.height - size.height
    if isinstance(gravity, FocalPoint):
        left = _clamped(_rounded(Fraction(gravity.x) * within.width - Fraction(size.width, 2)), room_across)
        top = _clamped(_rounded(Fraction(gravity.y) * within.height - Fraction(size.height, 2)), room_down)
    else:
        across, down = _COMPASS_HALVES.get(str(gravity), (1, 1))
        left, top = room_across * across // 2, room_down * down // 2
    return Rect(left=left, top=top, width=size.width, height=size.height)


_COMPASS_HALVES: dict[str, tuple[int, int]] = {
    Compass.NORTHWEST: (0, 0),
    Compass.NORTH: (1, 0),
    Compass.NORTHEAST: (2, 0),
    Compass.WEST: (0, 1),
    Compass.CENTRE: (1, 1),
    Compass.EAST: (2, 1),
    Compass.SOUTHWEST: (0, 2),
    Compass.SOUTH: (1, 2),
    Compass.SOUTHEAST: (2, 2),
}


def _scaled_by(size: Size, scale: Fraction) -> Size:
    """Off by at most half a pixel a side, and never less than one pixel."""
    return Size(width=max(1, _rounded(size.width * scale)), height=max(1, _rounded(size.height * scale)))


def _at_least(size: Size, least: Size) -> Size:
    return Size(width=max(size.width, least.width), height=max(size.height, least.height))


def _at_origin(size: Size) -> Rect:
    return Rect(left=0, top=0, width=size.width, height=size.height)


def _rounded(value: Fraction | int) -> int:
    """Halves go up; Python's own round goes to the even number."""
    return floor(value + Fraction(1, 2))


def _clamped(value: int, most: int) -> int:
    return max(0, min(value, most))


def _clamped_side(value: int, most: int) -> int:
    return max(1, min(value, most))
