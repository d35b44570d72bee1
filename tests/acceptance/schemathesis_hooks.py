"""What OpenAPI cannot say, said to schemathesis: which parts of a request go together.

Cases that are meant to be valid are made so; those that are meant to be invalid stay as they are.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext

from darkroom.contract.errors import ParametersInvalidError
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging.photograph import make_photograph

PICTURE = make_photograph(64, 48)
RAW = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "application/octet-stream"}
PARAMETERS = {"/api/v1/resize": {"width": 32}, "/api/v1/crop": {"width": 8, "height": 8}}
EVENT_HEADERS = {"ce-specversion": "1.0", "ce-source": "/s", "ce-id": "1"}

for media_type in RAW:
    schemathesis.openapi.media_type(media_type, st.just(PICTURE))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    mode = None if case.meta is None else case.meta.generation.mode
    if mode is not GenerationMode.POSITIVE:
        return
    if case.path in PARAMETERS:
        # Parameters in the query go with a raw body, and only with one.
        case.query = dict(PARAMETERS[case.path]) if case.media_type in RAW else {}
        # A form has its overlay as JSON text, of which OpenAPI says only that it is text.
        if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            case.body.pop("overlay", None)
    if case.path in {"/", "/api/v1/events"}:
        for name in [name for name in case.headers or {} if name.lower().startswith("ce-")]:
            del case.headers[name]
        if case.media_type == "application/json":
            case.headers.update({**EVENT_HEADERS, "ce-type": f"dev.darkroom.{_job_type(case.body)}.requested"})
        case.query = {}
    if case.path == "/api/v1/jobs" and case.query:
        # A cursor is known only from the page before.
        case.query = {name: value for name, value in case.query.items() if name != "cursor"}


@schemathesis.hook
def filter_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> bool:
    """A path with a line break is answered by functions-framework itself, with a plain 404."""
    return not any("\n" in str(value) for value in (path_parameters or {}).values())


def _job_type(body: Any) -> str:
    """Whose parameters these are: in binary mode a header says it."""
    if body.get("type"):
        return str(body["type"])
    try:
        parse_parameters(ResizeParameters, body["parameters"])
    except ParametersInvalidError:
        return "crop"
    return "resize"
