"""recovery: what guarantees an end for every job. It takes dead letters and rejected events, and sweeps when woken."""

from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.events import serve_events
from darkroom.serving.startup import start
from darkroom.serving.work import Answer
from functions.recovery.figures import Figures
from functions.recovery.recovering import Recovering

resources = start(needs=frozenset({"REDIS_URL", "NATS_URL", "K_SINK"}))
recovering, figures = Recovering(resources), Figures(resources)


def handle(event: CloudEvent) -> Answer:
    answer = recovering.handle(event)
    figures.push_when_woken(event)
    return answer


recovery = serve_events("recovery", handle, resources.settings.service)
