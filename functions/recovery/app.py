"""recovery: guarantees an end for every job. It takes dead letters and rejected events, and sweeps when woken."""

from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import EventAnswer
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.rejections import rejecting_unreadable
from darkroom.serving.resources import Resources
from functions.recovery.metrics import PipelineMetrics
from functions.recovery.recovery import Recovery


def build(resources: Resources) -> EventEndpoint:
    recovery, pipeline_metrics = Recovery(resources), PipelineMetrics(resources)

    def handle(event: CloudEvent) -> EventAnswer:
        answer = recovery.handle(event)
        pipeline_metrics.push_when_woken(event)
        return answer

    unreadable = rejecting_unreadable(resources.settings.service)
    return EventEndpoint("recovery", handle, unreadable=unreadable, check_startup=resources.check_sink)
