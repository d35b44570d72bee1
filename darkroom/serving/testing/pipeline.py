"""The pipeline around one function, in memory, on a clock that only the test advances.

The adapters pass the contract suites of the real ones. They fail on demand (`storage.is_down` and the like), and a test
may replace any of them in `resources`, from which functions are built.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.memory_notices import MemoryJobNotices, MemoryJobReader
from darkroom.adapters.rates.memory import MemoryRateLimiter
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.contract import events
from darkroom.contract.jobs import JobRecord, original_key
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.events import EventFunction
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from darkroom.serving.testing.deliveries import Delivery, deliver

BEGINS_AT_S = 1_800_000_000.0
_DEFAULTS = {
    "API_KEYS": "off",
    "RATE_LIMIT": "off",
    "RATE_LIMIT_READS": "off",
    "K_SINK": "http://broker.example/namespace/name",
}


class MemoryPipeline:
    """Everything around the function of this name. `settings` are the variables of its environment.

    Keys and rate limits are off unless the settings say otherwise. The environment of the process is not read.
    """

    def __init__(
        self,
        function: str,
        *,
        settings: Mapping[str, str] | None = None,
        jobs: MemoryJobStore | None = None,
        begins_at_s: float = BEGINS_AT_S,
    ) -> None:
        """Set up the pipeline. `jobs` is a store of the test's own, with its own clock. `begins_at_s` is since the
        epoch.
        """
        self._began_at_s = begins_at_s
        self._elapsed_s = 0.0
        given = _settings(function, settings)
        made = MemoryJobStore(clock=self.now_s, broker_window=given.broker_window, limits=given.backlog_limits)
        self.jobs = made if jobs is None else jobs
        self.storage = MemoryStorage(clock=self.now_s)
        self.emitter = MemoryEmitter()
        self.dead_letters = MemoryDeadLetters(clock=self.now_s)
        # Its arithmetic requires fractions of a second more precise than a float of epoch seconds allows.
        self.rates = MemoryRateLimiter(clock=lambda: self._elapsed_s)
        self.resources = self.resources_of(function, settings=settings)

    def resources_of(self, function: str, *, settings: Mapping[str, str] | None = None) -> Resources:
        """Make resources for another function beside the first, with the same jobs, pictures and events."""
        resources = Resources(_settings(function, settings))
        resources.jobs = self.jobs
        resources.job_reader = MemoryJobReader(self.jobs)
        resources.notices = MemoryJobNotices(self.jobs)
        resources.storage = self.storage
        resources.emitter = self.emitter
        resources.dead_letters = self.dead_letters
        resources.rates = self.rates
        return resources

    # --- time --------------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self._began_at_s + self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass for jobs, leases, dead letters, signed URLs and rates."""
        self._elapsed_s += seconds

    # --- jobs --------------------------------------------------------------------------------------------------------

    def accept(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        picture: bytes | None = None,
        **changes: Any,
    ) -> UUID:
        """Accept a job as ingest does, with `picture` stored as its original; without one there is nothing to fetch.

        The job is a resize to 32 pixels of width, unless `parameters` and `changes`, which are fields of `NewJob`, say
        otherwise.
        """
        job_id: UUID = changes.pop("job_id", None) or uuid.uuid4()
        fields: dict[str, Any] = {
            "type": "resize",
            "owner": "",
            "parameters": {"width": 32} if parameters is None else dict(parameters),
            "storage_key": original_key(job_id, "jpg"),
            "request_id": "request",
            **changes,
        }
        if picture is not None:
            self.storage.put(fields["storage_key"], picture, content_type="image/jpeg")
        self.jobs.accept(NewJob(job_id=job_id, **fields))
        return job_id

    def record(self, job_id: UUID | str) -> JobRecord:
        """Return the job's record. Raises KeyError for a job that was never accepted."""
        record = self.jobs.get(UUID(str(job_id)))
        if record is None:
            raise KeyError(f"no job {job_id}")
        return record

    def claim(self, job_id: UUID, *, worker: str = "another") -> Lease:
        """Claim the job as another worker. Raises ValueError if it cannot be claimed."""
        claim = self.jobs.claim(job_id, worker=worker)
        if not isinstance(claim, Lease):
            raise ValueError(f"job {job_id} cannot be claimed: {claim}")
        return claim

    def stored_result(self, job_id: UUID | str) -> bytes:
        """Return the result's bytes. Raises KeyError for a job that has no result, or none yet."""
        record = self.record(job_id)
        if record.result is None:
            raise KeyError(f"job {job_id} has no result, it is {record.status}: {record.error}")
        return self.storage.get(record.result.storage_key, max_bytes=record.result.bytes)

    # --- events ------------------------------------------------------------------------------------------------------

    def requested(self, job_id: UUID) -> CloudEvent:
        """Return the event that requests the job, as the Broker delivers it."""
        return events.requested(self.record(job_id), source="/darkroom/ingest")

    def emitted(self, event_type: str) -> list[CloudEvent]:
        """Return the events of this type that functions sent to the Broker, without their replies; oldest first."""
        return [event for event in self.emitter.events if event.type == event_type]

    def deliver(self, function: EventFunction[Any, Any], job_id: UUID) -> Delivery:
        """Deliver the event that requests the job."""
        return deliver(function.build(self.resources), self.requested(job_id))


def _settings(function: str, settings: Mapping[str, str] | None) -> Settings:
    return Settings.load(needs=frozenset(), environment={"K_SERVICE": function, **_DEFAULTS, **(settings or {})})
