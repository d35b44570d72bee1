"""The table of job types. Everything the application knows about a job type comes from its row.

Ingest's routes, the events, the schemas, OpenAPI, AsyncAPI, the command line, the client and the workers' checks are
derived from the table. A new job type is a row here, a model beside the others in `darkroom.contract.parameters`, a
folder in `functions/`, and the YAML of its Service and Trigger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from darkroom.contract.errors import UnknownJobTypeError
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.contract.parameters.resize import ResizeParameters

BACKGROUND = "background"
"""The cost class of jobs that nobody waits for, whatever their cost."""

_NAME = re.compile("[a-z][a-z0-9]{0,39}")
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class JobType:
    """One row of the table."""

    name: str
    """Lower-case letters and digits, since it is part of a path, of an event type, and of names in Kubernetes."""
    parameters: type[JobParameters]
    summary: str
    """What the job does, in a few words that begin with a verb."""
    in_background: bool = False
    """Whether such jobs have a Service for what nobody waits for, to which requests with `Priority: u=7` go."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a job type's name must match {_NAME.pattern}, was {self.name!r}")

    @property
    def event_type(self) -> str:
        """The type of the event that requests such a job."""
        return f"dev.darkroom.{self.name}.requested"

    @property
    def path(self) -> str:
        """The path of the HTTP route that accepts such a job."""
        return f"/api/v1/{self.name}"

    @property
    def schema_name(self) -> str:
        """The prefix of the names of its schemas."""
        return self.name.capitalize()

    def parse(self, fields: Mapping[str, Any], *, text: bool = False) -> JobParameters:
        """Parse the parameters of such a job from JSON, or from form and query fields (`text`).

        Raises ParametersInvalidError, which lists every mistake.
        """
        return parse_parameters(self.parameters, fields, text=text)


JOB_TYPES: tuple[JobType, ...] = (
    JobType(name="resize", parameters=ResizeParameters, summary="Resize a picture"),
    JobType(name="crop", parameters=CropParameters, summary="Crop a picture"),
    JobType(
        name="renditions", parameters=RenditionsParameters, summary="Make several pictures of one", in_background=True
    ),
)

NAMES: tuple[str, ...] = tuple(job_type.name for job_type in JOB_TYPES)
EVENT_TYPES: tuple[str, ...] = tuple(job_type.event_type for job_type in JOB_TYPES)

_BY_NAME = dict(zip(NAMES, JOB_TYPES, strict=True))
_BY_EVENT_TYPE = dict(zip(EVENT_TYPES, JOB_TYPES, strict=True))


def job_type_named(name: str) -> JobType:
    """Return the row with this name. Raises UnknownJobTypeError."""
    if name not in _BY_NAME:
        raise _unknown("job type", name, NAMES)
    return _BY_NAME[name]


def job_type_of_event(event_type: str) -> JobType:
    """Return the job type that events of this type request. Raises UnknownJobTypeError."""
    if event_type not in _BY_EVENT_TYPE:
        raise _unknown("event type", event_type, EVENT_TYPES)
    return _BY_EVENT_TYPE[event_type]


def _unknown(what: str, given: str, known: tuple[str, ...]) -> UnknownJobTypeError:
    # Imported here, because imports lengthen the cold start.
    import difflib

    given = given[:_SHOWN_CHARACTERS]
    nearest = difflib.get_close_matches(given, known, n=1)
    suggestion = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    return UnknownJobTypeError(f"unknown {what} {given!r}{suggestion} there are {', '.join(known)}")


def _in_table(name: str) -> str:
    return job_type_named(name).name


JobTypeName = Annotated[
    str, AfterValidator(_in_table), WithJsonSchema({"type": "string", "enum": list(NAMES)}, mode="validation")
]
"""Text that names a row, as the type of a model's field."""
