"""resize: renders a picture in another size. Everything but the pixels is `darkroom.serving`'s."""

from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import Rendition
from darkroom.serving import Job, Picture, event_function


@event_function("dev.darkroom.resize.requested")
def resize(job: Job[ResizeParameters], picture: Picture) -> Rendition:
    return picture.render(job.parameters)
