"""Chooses how to plan a job by the model of its parameters."""

from __future__ import annotations

from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging.cropping import plan_crop
from darkroom.imaging.geometry import Size
from darkroom.imaging.plan import Plan, whole
from darkroom.imaging.resizing import plan_resize


def plan_job(source: Size, parameters: OutputParameters) -> Plan:
    """Plan the rendering.

    A model that inherits from resize's or crop's is planned like it; any other keeps the picture's size. Raises
    CropOutOfBoundsError where the crop does not lie inside the picture.
    """
    if isinstance(parameters, CropParameters):
        return plan_crop(source, parameters)
    if isinstance(parameters, ResizeParameters):
        return plan_resize(source, parameters)
    return whole(source, source)
