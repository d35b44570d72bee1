"""A submission, however it arrived: the job type, its parameters, and the picture or its storage key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from darkroom.adapters.jobs.admission import JobName
from darkroom.contract.job_types import JobType
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.presets import PresetUse
from darkroom.contract.requests import Resolved
from darkroom.serving.auth import NOBODY
from functions.ingest.intake import StreamedPicture


def idempotency_digest(scope: str, *names: str) -> str:
    """Return a digest that keeps the keys of HTTP requests and those of events apart."""
    return hashlib.sha256(json.dumps([scope, *names]).encode()).hexdigest()


def own_job_id(job_id: UUID, owner: str) -> UUID:
    """Return the id of the job that a caller named by `job_id`.

    Each key has ids of its own, the same for the same name: an id of another key's job is like one that no job has.
    """
    return job_id if owner == NOBODY else uuid5(job_id, f"darkroom job of {owner}")


@dataclass(frozen=True, kw_only=True)
class Submission:
    type: JobType
    asked: Resolved
    """The parameters, and the presets that they come from."""
    body: bytes | None = None
    """The picture itself, if it is small enough to be held."""
    streamed: StreamedPicture | None = None
    """The picture itself, if it is larger."""
    storage_key: str | None = None
    """Of a picture that was in storage before."""
    job_id: UUID | None = None
    """Set only by senders of events that chose one."""
    idempotency_key: str | None = None
    """A digest of the caller's key for the request: callers' texts are not stored as they are."""

    @property
    def storage_keys(self) -> tuple[str, ...]:
        """The keys of all stored pictures that the submission names."""
        own = () if self.storage_key is None else (self.storage_key,)
        return (*own, *self.parameters.overlay_keys)

    @property
    def parameters(self) -> JobParameters:
        return self.asked.parameters

    @property
    def presets(self) -> Mapping[str, PresetUse]:
        return self.asked.presets

    @cached_property
    def canonical_parameters(self) -> dict[str, Any]:
        return canonical_parameters(self.parameters)

    def fingerprint(self) -> str:
        """Return a digest of everything that identifies this request, except who sends it and when.

        The picture's own digest is left out where the request can never be repeated under the same key.
        """
        parts = [self.type.name, self.canonical_parameters, self._source()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _source(self) -> str | None:
        has_name = self.idempotency_key is not None or self.job_id is not None
        if self.streamed is not None:
            return self.streamed.sha256
        if self.body is None or not has_name:
            return self.storage_key
        return hashlib.sha256(self.body).hexdigest()


def job_name(submission: Submission, owner: str) -> JobName:
    """Return by what a repetition of this request finds its job."""
    job_id = None if submission.job_id is None else own_job_id(submission.job_id, owner)
    return JobName(idempotency_key=submission.idempotency_key, job_id=job_id)
