"""Plans a crop."""

from __future__ import annotations

from fractions import Fraction

from darkroom.contract.errors import CropOutOfBoundsError
from darkroom.contract.parameters.crop import Bounds, CropParameters
from darkroom.imaging.geometry import Rect, Size, at_least, clamped, clamped_side, placed, rounded, scaled_by
from darkroom.imaging.plan import Plan, windowed


def plan_crop(source: Size, parameters: CropParameters) -> Plan:
    area = _crop_area(source, parameters)
    output = _crop_output(area, parameters)
    scale = max(Fraction(output.width, area.width), Fraction(output.height, area.height))
    scaled = at_least(scaled_by(source, scale), output)
    window = Rect(
        left=clamped(rounded(area.left * scale), scaled.width - output.width),
        top=clamped(rounded(area.top * scale), scaled.height - output.height),
        width=output.width,
        height=output.height,
    )
    return windowed(source, scaled, window, parameters.gravity)


def _crop_area(source: Size, parameters: CropParameters) -> Rect:
    """Return the part of the picture that is kept."""
    if parameters.x is None or parameters.y is None:
        return placed(_area_size(source, source, parameters), source, parameters.gravity)
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
        return Size(width=room.width, height=clamped_side(rounded(room.width / ratio), room.height))
    return Size(width=clamped_side(rounded(room.height * ratio), room.width), height=room.height)


def _crop_output(area: Rect, parameters: CropParameters) -> Size:
    """Return the area, or with `aspect` and one side the area scaled down to that side. A crop never enlarges."""
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
        return Size(width=asked, height=clamped_side(rounded(asked / ratio), area.height))
    return Size(width=clamped_side(rounded(asked * ratio), area.width), height=asked)
