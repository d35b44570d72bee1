"""Maps the tones of high dynamic range to what a standard display shows.

The curve is the EETF of ITU-R BT.2390-11, 5.4.1: it works on values of PQ, leaves the dark and middle tones as they
are, and rolls the bright ones off. It is applied to the largest of the three channels, and the others are scaled with
it, so that a colour keeps its hue.
"""

from __future__ import annotations

from darkroom.imaging.transfer import REFERENCE_WHITE_NITS, pq, to_pq
from darkroom.imaging.vips import Image

# What a picture is mastered for unless it says otherwise; what is brighter becomes white.
SOURCE_PEAK_NITS = 1000.0


def mapped(linear: Image) -> Image:
    """Return linear RGB from 0 to 1 of linear RGB that is relative to the reference white and may exceed 1."""
    brightest = linear if linear.bands == 1 else linear[0].bandrank([linear[1], linear[2]], index=2)
    gain = (brightest > 0).ifthenelse(_eetf(brightest) / brightest, 1)
    return linear * gain


def _eetf(light: Image) -> Image:
    """Return the light that a display of the reference white as its peak shows."""
    peak = to_pq(SOURCE_PEAK_NITS / REFERENCE_WHITE_NITS)
    most = to_pq(1.0) / peak
    knee = 1.5 * most - 0.5
    value = to_pq(light) / peak
    value = (value < 1).ifthenelse(value, 1)
    shown = (value < knee).ifthenelse(value, _spline(value, knee, most))
    return pq(shown * peak)


def _spline(value: Image, knee: float, most: float) -> Image:
    """Return the Hermite spline from the knee to the display's peak."""
    t = (value - knee) / (1 - knee)
    squared, cubed = t**2, t**3
    return (
        (cubed * 2 - squared * 3 + 1) * knee
        + (cubed - squared * 2 + t) * (1 - knee)
        + (cubed * -2 + squared * 3) * most
    )
