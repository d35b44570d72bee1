"""Pictures: bytes and parameters in, bytes and facts out.

Pure: no I/O, no settings from the environment, no logging. Importing it does not start libvips; the first picture
does. The modules follow the way of a picture: formats and probe (what is it, is it allowed), request (what is asked),
planning (where and how large; plan, resizing, cropping, geometry), cost; then cut, decode, resample, colour, saliency
and animation, which develop joins to frames in memory; operation (what a function does to them by itself); encode; and
render, which calls them in their order. vips is the edge to libvips.
"""

from darkroom.imaging.cost import Cost, CostClass, cost_class, decode_cost, estimate
from darkroom.imaging.decode import Shrink
from darkroom.imaging.operation import Operation
from darkroom.imaging.probe import Facts, probe
from darkroom.imaging.render import Rendition, render
from darkroom.imaging.request import OutputFormat, checked_plan, output_format, output_frames
from darkroom.imaging.vips import Image

__all__ = [
    "Cost",
    "CostClass",
    "Facts",
    "Image",
    "Operation",
    "OutputFormat",
    "Rendition",
    "Shrink",
    "checked_plan",
    "cost_class",
    "decode_cost",
    "estimate",
    "output_format",
    "output_frames",
    "probe",
    "render",
]
