"""crop: renders a part of a picture. `darkroom.serving` does everything but the pixels."""

from darkroom.contract.parameters.crop import CropParameters
from darkroom.imaging import Rendition
from darkroom.serving import Job, Picture, event_function


@event_function("dev.darkroom.crop.requested")
def crop(job: Job[CropParameters], picture: Picture) -> Rendition:
    return picture.render(job.parameters)
