"""What a caller hands in, whatever the way: the kind of job, its parameters, and the picture or where it lies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from darkroom.contract.job_types import JobType
from darkroom.contract.jobs import canonical_parameters
from darkroom.contract.parameters.output import OutputParameters


def idempotency_digest(scope: str, *names: str) -> str:
    """Keeps the keys of HTTP requests and those of events apart."""
    return hashlib.sha256(json.dumps([scope, *names]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Submission:
    type: JobType
    parameters: OutputParameters
    body: bytes | None = None
    """The picture itself; None: it lies at `storage_key`."""
    storage_key: str | None = None
    job_id: UUID | None = None
    """Given only by senders of events that chose one."""
    idempotency_key: str | None = None
    """A digest of what the caller calls the request: whatever somebody puts there, it is not kept as it is."""

    @cached_property
    def canonical_parameters(self) -> dict[str, Any]:
        return canonical_parameters(self.parameters)

    def fingerprint(self) -> str:
        """Digest of everything that makes this request this one (not of who sends it, nor when).

        The picture's own digest is left out where nobody could ever send the request again under the same name.
        """
        parts = [self.type.name, self.canonical_parameters, self._source()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _source(self) -> str | None:
        has_name = self.idempotency_key is not None or self.job_id is not None
        if self.body is None or not has_name:
            return self.storage_key
        return hashlib.sha256(self.body).hexdigest()
