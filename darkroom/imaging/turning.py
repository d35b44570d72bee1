"""Turning and mirroring as parameters: combined with the orientation in which a picture is stored, so that its pixels
are turned only once.
"""

from __future__ import annotations

from dataclasses import replace

from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.values import Flip, Rotation
from darkroom.imaging.facts import Facts

# Each EXIF orientation (CIPA DC-008, 4.6.5.1.6) as what makes the stored picture upright: whether it is mirrored left
# to right, and then by how many quarters it is turned clockwise.
_STEPS = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 3),
    6: (False, 1),
    7: (True, 1),
    8: (False, 3),
}
_ORIENTATIONS = {steps: orientation for orientation, steps in _STEPS.items()}


def turned(facts: Facts, parameters: OutputParameters) -> Facts:
    """Return the facts of the picture after `rotate` and `flip`."""
    orientation = turned_orientation(facts.orientation, parameters.rotate, parameters.flip)
    if parameters.rotate in {Rotation.QUARTER, Rotation.THREE_QUARTERS}:
        return replace(facts, orientation=orientation, width=facts.height, height=facts.width)
    return facts if orientation == facts.orientation else replace(facts, orientation=orientation)


def turned_orientation(orientation: int, rotate: Rotation, flip: Flip | None) -> int:
    """Return the orientation that turns by `rotate` what the first makes upright, and then mirrors it."""
    is_mirrored, quarters = _STEPS[orientation]
    quarters += rotate // 90
    if flip is not None:
        # A mirror after a turn is a mirror before the opposite turn; top to bottom is left to right and a half turn.
        is_mirrored, quarters = not is_mirrored, -quarters + (2 if flip is Flip.VERTICAL else 0)
    return _ORIENTATIONS[is_mirrored, quarters % 4]
