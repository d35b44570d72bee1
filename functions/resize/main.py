"""resize: renders a picture in another size. Everything but the pixels is `darkroom.serving`'s."""

from darkroom.contract.events import RESIZE_REQUESTED
from darkroom.contract.parameters import ResizeParameters
from darkroom.imaging import Rendition
from darkroom.serving import Job, Picture, event_function


@event_function(RESIZE_REQUESTED)
def resize(job: Job[ResizeParameters], picture: Picture) -> Rendition:
    return picture.render(job.parameters)
