"""resize: renders a picture in another size. `darkroom.serving` does everything but the pixels."""

from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import Rendition
from darkroom.serving import Job, Picture, event_function


@event_function("dev.darkroom.resize.requested")
def resize(job: Job[ResizeParameters], picture: Picture) -> Rendition:
    return picture.render(job.parameters)
