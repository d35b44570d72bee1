"""Plans a resize."""

from __future__ import annotations

from fractions import Fraction

from darkroom.contract.parameters.gravity import Gravity
from darkroom.contract.parameters.resize import Fit, ResizeParameters
from darkroom.imaging.geometry import Size, at_least, placed, rounded, scaled_by
from darkroom.imaging.plan import Plan, laid_on, whole, windowed


def plan_resize(source: Size, parameters: ResizeParameters) -> Plan:
    if parameters.width is None or parameters.height is None:
        return whole(source, _scaled_to_one_side(source, parameters))
    box = _box(source, parameters, parameters.width, parameters.height)
    match parameters.fit:
        case Fit.INSIDE | Fit.OUTSIDE:
            return whole(source, scaled_by(source, _uniform_scale(source, box, parameters)))
        case Fit.CONTAIN:
            scaled = scaled_by(source, _uniform_scale(source, box, parameters))
            return laid_on(whole(source, scaled), box)
        case Fit.FILL:
            return whole(source, _without_enlarging(source, box, parameters))
        case Fit.COVER:
            return _covering(source, _without_enlarging(source, box, parameters), parameters.gravity)


def _box(source: Size, parameters: ResizeParameters, width: int, height: int) -> Size:
    """Return the requested size in device pixels. Without `enlarge`, `dpr` is limited to what the picture's own pixels
    provide, but not below 1.
    """
    dpr = Fraction(parameters.dpr)
    if not parameters.enlarge:
        scale = _fit_scale(source, Size(width=width, height=height), parameters.fit)
        dpr = max(Fraction(1), min(dpr, 1 / scale))
    return Size(width=rounded(width * dpr), height=rounded(height * dpr))


def _fit_scale(source: Size, box: Size, fit: Fit) -> Fraction:
    """Return the larger of both axes' scales where the box must be covered, else the smaller."""
    across, down = Fraction(box.width, source.width), Fraction(box.height, source.height)
    return min(across, down) if fit in (Fit.INSIDE, Fit.CONTAIN) else max(across, down)


def _uniform_scale(source: Size, box: Size, parameters: ResizeParameters) -> Fraction:
    scale = _fit_scale(source, box, parameters.fit)
    return scale if parameters.enlarge else min(Fraction(1), scale)


def _scaled_to_one_side(source: Size, parameters: ResizeParameters) -> Size:
    """Return the size for one given side, where every fit is the same: the other side follows from the aspect ratio."""
    if parameters.width is not None:
        asked, own = parameters.width, source.width
    else:
        asked, own = parameters.height or 1, source.height
    dpr = Fraction(parameters.dpr)
    if not parameters.enlarge:
        dpr = max(Fraction(1), min(dpr, Fraction(own, asked)))
    scale = Fraction(rounded(asked * dpr), own)
    return scaled_by(source, scale if parameters.enlarge else min(Fraction(1), scale))


def _without_enlarging(source: Size, box: Size, parameters: ResizeParameters) -> Size:
    """Return the box, or the largest box of its shape that requires no enlarging."""
    if parameters.enlarge:
        return box
    shrink = min(Fraction(1), Fraction(source.width, box.width), Fraction(source.height, box.height))
    return scaled_by(box, shrink)


def _covering(source: Size, box: Size, gravity: Gravity) -> Plan:
    scale = max(Fraction(box.width, source.width), Fraction(box.height, source.height))
    scaled = at_least(scaled_by(source, scale), box)
    return windowed(source, scaled, placed(box, scaled, gravity), gravity)
