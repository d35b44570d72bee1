"""renditions: renders several pictures of one. `darkroom.serving` does everything but the pixels."""

from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.serving import Job, Picture, Renditions, event_function


@event_function("dev.darkroom.renditions.requested")
def renditions(job: Job[RenditionsParameters], picture: Picture) -> Renditions:
    return picture.render_each(job.parameters)
