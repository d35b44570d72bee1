"""`event_function`: a plain function becomes a Knative Service that does the jobs of one event type."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, TypeVar, cast

from darkroom.contract.job_types import job_type_of_event
from darkroom.contract.parameters.job import JobParameters
from darkroom.imaging import Rendition
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.framework import is_serving
from darkroom.serving.isolation import be_batch_work, bound_memory_of_workers, configure_workers, yield_to_others
from darkroom.serving.picture import Picture, Renditions
from darkroom.serving.rejections import rejecting_unreadable
from darkroom.serving.resources import Resources
from darkroom.serving.startup import serve_events
from darkroom.serving.work import Job, Work, Worker

P = TypeVar("P", bound=JobParameters)
M = TypeVar("M", bound=Rendition | Renditions)

_JOB_NEEDS = frozenset({"REDIS_URL", "BUCKET_NAME"})


class EventFunction(Generic[P, M]):
    """A function that does jobs, not wired to anything yet. Calling it calls the decorated function."""

    __name__: str

    def __init__(self, event_type: str, work: Work[P, M]) -> None:
        self.event_type = event_type
        self._work: Callable[[Job[P], Picture], M] = work
        update_wrapper(self, work)

    def __call__(self, job: Job[P], picture: Picture) -> M:
        return self._work(job, picture)

    def build(self, resources: Resources) -> EventEndpoint:
        """Build the endpoint that is served: it claims the job, fetches its picture, has the function render it,
        stores, replies.
        """
        worker = Worker(self.event_type, self._work, resources)
        unreadable = rejecting_unreadable(resources.settings.service)
        return EventEndpoint(self.__name__, worker.handle, unreadable=unreadable)


def event_function(event_type: str) -> Callable[[Work[P, M]], EventFunction[P, M]]:
    """Make the decorated function the one for jobs of this event type.

    Raises UnknownJobTypeError where no row of the table of job types has it. When functions-framework executes the
    module to serve this function, it is wired and served, and a missing or wrong setting raises SettingsError. Imported
    by anything else, it stays an `EventFunction`.
    """
    job_type_of_event(event_type)

    def decorate(work: Work[P, M]) -> EventFunction[P, M]:
        function = EventFunction(event_type, work)
        if not is_serving(work.__name__):
            return function
        # functions-framework accepts only a plain function, and nobody else sees the result.
        return cast("EventFunction[P, M]", serve_events(_isolated(function), needs=_JOB_NEEDS))

    return decorate


def _isolated(function: EventFunction[P, M]) -> Callable[[Resources], EventEndpoint]:
    """Build the function and limit the worker processes that will be forked."""

    def build(resources: Resources) -> EventEndpoint:
        settings = resources.settings
        configure_workers(processes=settings.worker_concurrency, job_timeout_s=settings.job_timeout_s)
        bound_memory_of_workers(settings.worker_memory_bytes)
        be_batch_work()
        yield_to_others(settings.worker_niceness)
        return function.build(resources)

    return build
