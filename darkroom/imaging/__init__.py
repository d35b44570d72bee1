"""Pictures: bytes and parameters in, bytes and facts out.

Pure: no I/O, no settings from the environment, no logging. Importing the package does not start libvips; the first
picture does. The modules in the order in which a picture passes them:

- `formats`, `containers` and `probe`: what the picture is, whether it is within the limits, and what of it the decoder
  sees. `facts` is the result; `ending` looks at files that lack their end.
- `request`: what the request asks for.
- `planning` (with `plan`, `resizing`, `cropping`, `geometry`): which part, how large, where.
- `cost`: how expensive the job will be.
- `shrinking` (with `jpeg_frame` and `fine_detail`): how far the decoder shrinks the picture.
- `cut`, `decode` (with `gif_canvas`), `resample`, `colour`, `saliency`, `animation`: the steps that `develop` combines
  into frames in memory.
- `coding` (with `primaries`, `transfer`, `tone`): colours that something else than a profile describes.
- `operation`: a function's own work on the frames.
- `sharpening`: what its name says.
- `encode`: the result's bytes.
- `render`: calls all of them in order, with `preparation` for what the header decides and `finishing` for what follows
  the developed frames.
- `renditions`: several renditions of one picture from as few decodes as possible.

`vips` is the interface to libvips; `faults` says in plain words why it gave up.
"""

from darkroom.imaging.cost import Cost, CostClass, cost_class, decode_cost, estimate
from darkroom.imaging.facts import Facts
from darkroom.imaging.finishing import Rendition
from darkroom.imaging.operation import Operation
from darkroom.imaging.overlay import probe_overlay
from darkroom.imaging.probe import StreamProbe, probe, prove_end
from darkroom.imaging.render import render
from darkroom.imaging.renditions import (
    RenditionError,
    RenditionRequest,
    checked_renditions,
    render_all,
    renditions_cost,
    renditions_cost_class,
)
from darkroom.imaging.request import OutputFormat, checked_plan, output_format, output_frames
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.vips import Image

__all__ = [
    "Cost",
    "CostClass",
    "Facts",
    "Image",
    "Operation",
    "OutputFormat",
    "Rendition",
    "RenditionError",
    "RenditionRequest",
    "Shrink",
    "StreamProbe",
    "checked_plan",
    "checked_renditions",
    "cost_class",
    "decode_cost",
    "estimate",
    "output_format",
    "output_frames",
    "probe",
    "probe_overlay",
    "prove_end",
    "render",
    "render_all",
    "renditions_cost",
    "renditions_cost_class",
]
