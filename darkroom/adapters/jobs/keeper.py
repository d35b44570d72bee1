"""The keeper of a job: the small object in storage, beside its original, from which a lost record is rebuilt.

It holds a `NewJob` as it is, whatever its fields, and the time of the acceptance. When it is written is decided in
`darkroom.serving.keepers`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from darkroom.adapters.jobs import NewJob
from darkroom.contract.job_types import NAMES
from darkroom.contract.jobs import timestamp

VERSION = 1
MAX_BYTES = 1024 * 1024
CONTENT_TYPE = "application/json"


class KeeperUnreadableError(Exception):
    """The object is no keeper that this version can read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Keeper:
    job: NewJob
    created_at: datetime
    changed: tuple[str, ...] = ()
    """Renditions that were asked for with other parameters since. What was made of them before the keeper was written
    does not count."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: int
    created_at: AwareDatetime
    changed: tuple[str, ...] = ()
    job: dict[str, Any]


def encode_keeper(keeper: Keeper) -> bytes:
    fields = _new_job().dump_python(keeper.job, mode="json", exclude_defaults=True)
    changed = {"changed": keeper.changed} if keeper.changed else {}
    document = {"version": VERSION, "created_at": timestamp(keeper.created_at), **changed, "job": fields}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def decode_keeper(body: bytes, job_id: UUID) -> Keeper:
    """Read the keeper of this job. Raises KeeperUnreadableError.

    What another version wrote beside the known fields is left out.
    """
    try:
        document = _Document.model_validate_json(body)
        if document.version != VERSION:
            raise KeeperUnreadableError(f"its version is {document.version}, this Darkroom reads {VERSION}")
        job = _new_job().validate_python(document.job)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise KeeperUnreadableError(f"{place or 'it'}: {first['msg']}") from exc
    if job.job_id != job_id:
        raise KeeperUnreadableError(f"it is the keeper of job {job.job_id}")
    if job.type not in NAMES:
        raise KeeperUnreadableError(f"its type is {job.type[:80]!r}")
    return Keeper(job=job, created_at=document.created_at, changed=document.changed)


@cache
def _new_job() -> TypeAdapter[NewJob]:
    return TypeAdapter(NewJob)
