"""Transfer functions: from the values that a picture stores to linear light.

Each works on a float image of values from 0 to 1, usually a row with every value that a sample may have. For pictures
of standard dynamic range the result is relative to their white; for PQ and HLG it is relative to the white of graphics,
203 cd/m2 (ITU-R BT.2408, 2.1), and may exceed 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from darkroom.imaging.vips import Image

Transfer: TypeAlias = Callable[[Image], Image]
Light = TypeVar("Light", float, Image)

REFERENCE_WHITE_NITS = 203.0
_PQ_PEAK_NITS = 10_000
_HLG_PEAK_NITS, _HLG_GAMMA = 1000, 1.2
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
PQ, HLG = 16, 18


def srgb(value: Image) -> Image:
    """IEC 61966-2-1."""
    return (value <= 0.04045).ifthenelse(value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def power(exponent: float) -> Transfer:
    return lambda value: value**exponent


def smpte240(value: Image) -> Image:
    """ITU-T H.273, table 3, value 7."""
    return (value <= 4 * 0.0228).ifthenelse(value / 4, ((value + 0.1115) / 1.1115) ** (1 / 0.45))


def pq(value: Image) -> Image:
    """SMPTE ST 2084, 5.1."""
    root = value ** (1 / _M2)
    least = root - _C1
    light = (least > 0).ifthenelse(least, 0) / (root * -_C3 + _C2)
    return light ** (1 / _M1) * (_PQ_PEAK_NITS / REFERENCE_WHITE_NITS)


def to_pq(light: Light) -> Light:
    """Return the value that PQ stores for light relative to the reference white (SMPTE ST 2084, 5.2)."""
    power = (light * (REFERENCE_WHITE_NITS / _PQ_PEAK_NITS)) ** _M1
    value: Light = ((power * _C2 + _C1) / (power * _C3 + 1)) ** _M2
    return value


def hlg_scene(value: Image) -> Image:
    """Return the light of the scene, 0 to 1 (ITU-R BT.2100-2, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return (value <= 0.5).ifthenelse(value**2 / 3, (((value - c) / a).exp() + b) / 12)


def hlg_displayed(scene: Image, luminance: Image) -> Image:
    """Return the light of a display of 1000 cd/m2, relative to the reference white, by HLG's OOTF (table 5)."""
    # Without light there is no direction in which the power could be taken.
    dark = 1e-6
    gain = ((luminance > dark).ifthenelse(luminance, dark)) ** (_HLG_GAMMA - 1)
    return scene * gain * (_HLG_PEAK_NITS / REFERENCE_WHITE_NITS)


# ITU-T H.273 (07/2024), table 3. Absent are those that are shown as sRGB: unspecified ones, logarithms, and the curves
# of BT.709, which Chromium and most players show so as well (Chromium, ui/gfx/color_space.cc, `GetTransferFunction`).
BY_CODE_POINT: dict[int, Transfer] = {
    4: power(2.2),
    5: power(2.8),
    7: smpte240,
    8: power(1.0),
    PQ: pq,
    17: lambda value: value**2.6 * (52.37 / 48),
    HLG: hlg_scene,
}
