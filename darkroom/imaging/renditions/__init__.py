"""Several renditions of one picture from as few decodes as give each the quality of a job of its own.

- `request`: what is asked for.
- `members`: each request with what decides about sharing.
- `plan`: which renditions share a decode, what each is resampled from, and the memory that takes. Known from the
  header alone.
- `grouping`: makes the plan.
- `rendering`: carries it out, one rendition after the other, and plans anew where the picture has fine detail.
- `cost`: what all of it will cost.

What one rendition goes through after its frames are developed is the same as in `darkroom.imaging.render`.
"""

from darkroom.imaging.renditions.cost import renditions_cost, renditions_cost_class
from darkroom.imaging.renditions.grouping import plan_renditions
from darkroom.imaging.renditions.rendering import render_all
from darkroom.imaging.renditions.request import RenditionError, RenditionRequest, checked_renditions

__all__ = [
    "RenditionError",
    "RenditionRequest",
    "checked_renditions",
    "plan_renditions",
    "render_all",
    "renditions_cost",
    "renditions_cost_class",
]
