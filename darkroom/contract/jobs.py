"""Jobs: the message that requests one, the record that guarantees its end, and its view in the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from darkroom.contract.job_types import JobTypeName, job_type_named
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.parameters.values import StorageKey
from darkroom.contract.presets import PresetUse
from darkroom.contract.webhooks import subscribers


class JobStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in {JobStatus.COMPLETED, JobStatus.FAILED}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobInput(_Frozen):
    storage_key: Annotated[StorageKey, Field(description="Where the original is stored.")]


class JobMetadata(_Frozen):
    created_at: Annotated[datetime, Field(description="When the job was accepted.")]
    retry_count: Annotated[int, Field(ge=0, description="How often the job's event was emitted before.")] = 0
    request_id: Annotated[str, Field(description="The id of the request that made the job.")]


class JobMessage(_Frozen):
    """The data of a `requested` event."""

    job_id: Annotated[UUID, Field(description="The job.")]
    type: Annotated[JobTypeName, Field(description="The kind of job.")]
    parameters: Annotated[dict[str, Any], Field(description="The job's parameters, without defaults.")]
    input: Annotated[JobInput, Field(description="The picture.")]
    metadata: Annotated[JobMetadata, Field(description="Where the message comes from.")]

    def parsed_parameters(self) -> JobParameters:
        """Parse the parameters with the model of the job's type. Raises ParametersInvalidError."""
        return job_type_named(self.type).parse(self.parameters)


class JobResult(_Frozen):
    storage_key: Annotated[str, Field(description="Where the result is stored.")]
    content_type: Annotated[str, Field(description="The result's media type.")]
    width: Annotated[int, Field(description="Width in pixels.")]
    height: Annotated[int, Field(description="Height in pixels, of one frame.")]
    bytes: Annotated[int, Field(description="Size of the file.")]
    placeholder: Annotated[
        str | None,
        Field(description="What the parameter placeholder asked for: base64 for thumbhash, #rrggbb for colour."),
    ] = None


class JobFailure(_Frozen):
    """Why a job failed, or why its latest attempt did."""

    code: Annotated[str, Field(description="The error's code, which never changes.")]
    message: Annotated[str, Field(description="What went wrong, with the measured value and the limit.")]
    attempts: Annotated[int, Field(description="How many attempts were made.")]


Made: TypeAlias = JobResult | JobFailure
"""How one rendition of a job ended."""


class SignedUrl(NamedTuple):
    url: str
    expires_at: datetime


class Attempt(_Frozen):
    """One claim of a job, and how it ended."""

    fence: int
    """The number of the claim. Numbers are skipped where a job was failed or redriven."""
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    """When the attempt ended; for a worker that died, its last sign of life. None: still running."""
    code: str | None = None
    """The code of the error that ended the attempt. None: still running, or it completed the job."""


class JobRecord(_Frozen):
    """A job as the job store has it. Times are in UTC, on the store's clock."""

    job_id: UUID
    type: JobTypeName
    status: JobStatus
    owner: str
    """The id of the API key that made the job; empty where keys are off."""
    parameters: dict[str, Any]
    storage_key: str
    request_id: str
    cost_class: str = "standard"
    """`standard` or `heavy`: which of a function's Services does the job."""
    trace: str = ""
    """The W3C `traceparent` under which the job was accepted, or empty. Brokers drop it; the API does not show it."""
    webhooks: str = ""
    """The endpoints that are told of its end, as `webhooks.subscriptions` writes them."""
    attempts: int = 0
    emissions: int = 1
    """How often the job's event was handed to the broker; the event id of each emission is `event_id(n)`."""
    confirmed: int = 0
    """The last emission that the broker is known to have received."""
    in_lane: bool = False
    """It waits in its lane for room in the broker's window; nobody may emit it yet."""
    makes_room: bool = False
    """In the answer to the call that ended the job: others wait in its lane, and the window has room."""
    fence: int = 0
    worker: str | None = None
    redrives: int = 0
    """How often a person redrove the failed job."""
    restored_at: datetime | None = None
    """When the job was restored from storage, after the store had lost it."""
    history: tuple[Attempt, ...] = ()
    """The latest attempts, oldest first."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lease_until: datetime | None = None
    result: JobResult | None = None
    made: dict[str, Made] = Field(default_factory=dict)
    """Of a job with several results: what has been made, and what cannot be made, by the rendition's name."""
    presets: dict[str, PresetUse] = Field(default_factory=dict)
    """The presets that were asked for, by the rendition's name, which is empty for a job with one result."""
    error: JobFailure | None = None
    timings_ms: dict[str, int] = Field(default_factory=dict)

    def parsed_parameters(self) -> JobParameters:
        """Parse the parameters with the model of the job's type. Raises ParametersInvalidError."""
        return job_type_named(self.type).parse(self.parameters)

    @property
    def message(self) -> JobMessage:
        return JobMessage(
            job_id=self.job_id,
            type=self.type,
            parameters=self.parameters,
            input=JobInput(storage_key=self.storage_key),
            metadata=JobMetadata(
                created_at=self.created_at, retry_count=self.emissions - 1, request_id=self.request_id
            ),
        )

    def event_id(self) -> str:
        """Return an id that is new for each emission, and the same when one emission is sent twice, so that the broker
        can deduplicate.

        A restored job counts its emissions from one again, so the time of its restoration is part of the id.
        """
        return f"{self._event_ids}{self.emissions}"

    def has_emitted(self, event_id: str) -> bool:
        """Return whether this is the id of an emission of the job, and not of one before it was restored."""
        return event_id.startswith(self._event_ids) and event_id.removeprefix(self._event_ids).isdigit()

    @property
    def _event_ids(self) -> str:
        if self.restored_at is None:
            return f"{self.job_id}."
        return f"{self.job_id}.{round(self.restored_at.timestamp() * 1000)}."

    @property
    def told(self) -> tuple[str, ...]:
        """The ids of the endpoints that are told of the end that it has reached; none while it is unfinished."""
        if not self.status.is_final:
            return ()
        return subscribers(self.webhooks, completed=self.status is JobStatus.COMPLETED)

    @property
    def webhook_id(self) -> str:
        """Names this end of the job to those who are told of it: a job that is redriven and ends again has another."""
        return f"{self.job_id}-{self.fence}"

    @property
    def rendition_names(self) -> tuple[str, ...]:
        """The names of the job's results; empty for a job with one result."""
        return rendition_names(self.parameters)

    @property
    def stored_results(self) -> tuple[JobResult, ...]:
        """All results that are in storage."""
        one = () if self.result is None else (self.result,)
        return (*one, *(made for made in self.made.values() if isinstance(made, JobResult)))

    def view(self, *, signed: Mapping[str, SignedUrl] | None = None) -> dict[str, Any]:
        """Return the job as the API shows it; `signed` has URLs by the storage keys of the results."""
        signed = signed or {}
        shown: dict[str, Any] = {"job_id": str(self.job_id), "type": self.type, "status": self.status.value}
        if self.status is JobStatus.COMPLETED and self.result is not None:
            shown["result"] = _result_view(self.result, signed)
        if self.rendition_names:
            shown["results"] = {name: self._rendition_view(name, signed) for name in self.rendition_names}
        if self.status is JobStatus.FAILED and self.error is not None:
            shown["error"] = self.error.model_dump()
        if "" in self.presets:
            shown["preset"] = self.presets[""].view()
        shown["attempts"] = self.attempts
        shown["request_id"] = self.request_id
        shown["created_at"] = timestamp(self.created_at)
        if self.started_at is not None:
            shown["started_at"] = timestamp(self.started_at)
        if self.finished_at is not None:
            shown["finished_at"] = timestamp(self.finished_at)
        shown["timings_ms"] = self.timings_ms
        return shown

    def _rendition_view(self, name: str, signed: Mapping[str, SignedUrl]) -> dict[str, Any]:
        """Return one rendition. One that was not made has the job's status, and its error."""
        made = self.made.get(name)
        if made is None:
            shown: dict[str, Any] = {"status": self.status.value}
            made = self.error if self.status is JobStatus.FAILED else None
        else:
            status = JobStatus.COMPLETED if isinstance(made, JobResult) else JobStatus.FAILED
            shown = {"status": status.value}
        if isinstance(made, JobResult):
            shown["result"] = _result_view(made, signed)
        if isinstance(made, JobFailure):
            shown["error"] = made.model_dump()
        if name in self.presets:
            shown["preset"] = self.presets[name].view()
        return shown


def _result_view(result: JobResult, signed: Mapping[str, SignedUrl]) -> dict[str, Any]:
    shown: dict[str, Any] = result.model_dump(exclude_none=True)
    if result.storage_key in signed:
        url, expires_at = signed[result.storage_key]
        shown = {"url": url, **shown, "expires_at": timestamp(expires_at)}
    return shown


def original_key(job_id: UUID, extension: str) -> str:
    return f"uploads/{job_id}/original.{extension}"


def rendition_names(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the results that a job with these parameters has; empty for a job with one result."""
    renditions = parameters.get("renditions")
    return tuple(renditions) if isinstance(renditions, dict) else ()


def keeper_key(job_id: UUID) -> str:
    """Return the key of the object from which the job is restored, wherever its original is stored."""
    return f"uploads/{job_id}/job.json"


def result_key(job_id: UUID, extension: str) -> str:
    """Return a key that depends on the job alone, so that storing a result twice replaces it."""
    return f"processed/{job_id}.{extension}"


def rendition_key(job_id: UUID, name: str, extension: str) -> str:
    """Return the same for one rendition of a job."""
    return f"processed/{job_id}/{name}.{extension}"


def results_prefix(job_id: UUID) -> str:
    """Return what the keys of all results of a job begin with, whatever their names and formats. Ids are of one length,
    so no other job's keys do."""
    return f"processed/{job_id}"


def timestamp(moment: datetime) -> str:
    """Format as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_milliseconds(since_epoch: int | str | None) -> datetime | None:
    if since_epoch in (None, ""):
        return None
    return datetime.fromtimestamp(int(since_epoch) / 1000, tz=UTC)
