"""What OpenAPI cannot say, said to schemathesis: which parts of a request go together.

Cases that are meant to be valid are made so. Those that are meant to be invalid lose only what nobody reads.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import ComponentInfo, CoveragePhaseData, CoverageScenario

from darkroom.contract.errors import ParametersInvalidError
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging.photograph import make_photograph

PICTURE = make_photograph(64, 48)
RAW = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "application/octet-stream"}
PARAMETERS = {"/api/v1/resize": {"width": 32}, "/api/v1/crop": {"width": 8, "height": 8}}
RENDITIONS = "/api/v1/renditions"
PRESET = "thumb"
"""Of the project's presets: a schema cannot tell which there are."""
OF_SOME_FORMATS = {"lossless", "palette", "colours", "max_bytes"}
EVENTS = {"/", "/api/v1/events"}
WHOLE_EVENTS = {"application/cloudevents+json", "application/cloudevents-batch+json"}
EVENT_HEADERS = {"ce-specversion": "1.0", "ce-source": "/s", "ce-id": "1"}

for media_type in RAW:
    schemathesis.openapi.media_type(media_type, st.just(PICTURE))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    if _is_without_its_key(case):
        # A case that is changed here is judged anew, and would be sent with its key then.
        return
    if case.path in EVENTS and case.media_type in WHOLE_EVENTS:
        # The body has the attributes (CloudEvents' HTTP binding, 3.2 and 3.3); headers of their names say nothing.
        _drop_event_headers(case)
    mode = None if case.meta is None else case.meta.generation.mode
    if mode is not GenerationMode.POSITIVE:
        return
    if case.path in PARAMETERS:
        # Parameters in the query go with a raw body, and only with one.
        case.query = dict(PARAMETERS[case.path]) if case.media_type in RAW else {}
        if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            if "preset" in case.body:
                # It has to be there, and beside it less is asked of the others.
                for name in case.body.keys() - {"image"}:
                    del case.body[name]
                case.body.update(PARAMETERS[case.path])
                _take_as_valid(case)
            _drop_from_form(case, case.body)
    if case.path == RENDITIONS:
        case.query = {"preset": PRESET} if case.media_type in RAW else {}
        if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
            # JSON text, of which OpenAPI says only that it is text.
            case.body.pop("renditions", None)
            case.body["preset"] = PRESET
            _take_as_valid(case)
    _ask_for_what_is_there(case.path, case.body)
    if case.path in EVENTS:
        _drop_event_headers(case)
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


def _is_without_its_key(case: Case[Any]) -> bool:
    phase = None if case.meta is None else case.meta.phase.data
    return isinstance(phase, CoveragePhaseData) and phase.scenario is CoverageScenario.MISSING_PARAMETER


def _drop_event_headers(case: Case[Any]) -> None:
    for name in [name for name in case.headers or {} if name.lower().startswith("ce-")]:
        del case.headers[name]


def _drop_from_form(case: Case[Any], form: dict[str, Any]) -> None:
    """Remove the optional fields whose values a schema cannot tell to be possible."""
    # The overlay is JSON text, of which OpenAPI says only that it is text.
    dropped = {"overlay"} & form.keys()
    if form.get("format", "keep") == "keep":
        # Then the picture's own format decides whether it has these.
        dropped |= OF_SOME_FORMATS & form.keys()
    if not dropped:
        return
    for name in dropped:
        del form[name]
    _take_as_valid(case)


def _take_as_valid(case: Case[Any]) -> None:
    # schemathesis validates what a hook has changed as soon as `meta` is read. It cannot validate a body with bytes in
    # it and takes any for invalid; without optional fields a valid one still is valid.
    meta = case.meta
    assert meta is not None
    meta.components[ParameterLocation.BODY] = ComponentInfo(mode=GenerationMode.POSITIVE)
    meta.generation.mode = GenerationMode.POSITIVE


def _ask_for_what_is_there(path: str, body: Any) -> None:
    """A schema cannot tell which presets there are, of which type they are, and what may be otherwise."""
    for event in body if isinstance(body, list) else [body]:
        if not isinstance(event, dict):
            continue
        data = event.get("data", event)
        if not isinstance(data, dict):
            continue
        for each in _renditions(data):
            if "preset" in each:
                each.clear()
                each["preset"] = PRESET
        kind = _kind(path, str(event.get("type") or ""))
        if kind == "renditions":
            if "preset" in data:
                for name in {"parameters", "renditions"} & data.keys():
                    del data[name]
                data["preset"] = PRESET
        elif "preset" in data:
            del data["preset"]
            data["parameters"] = dict(PARAMETERS[f"/api/v1/{kind}"])


def _kind(path: str, event_type: str) -> str:
    """The type of job for which parameters are asked."""
    name = path.rpartition("/")[2] if path not in EVENTS else event_type.removeprefix("dev.darkroom.").partition(".")[0]
    return name if name in {"crop", "renditions"} else "resize"


def _renditions(data: dict[str, Any]) -> list[dict[str, Any]]:
    found = data.get("renditions", (data.get("parameters") or {}).get("renditions", {}))
    return [each for each in found.values() if isinstance(each, dict)] if isinstance(found, dict) else []


def _job_type(body: Any) -> str:
    """Whose parameters these are: in binary mode a header says it."""
    if body.get("type"):
        return str(body["type"])
    if "renditions" in body["parameters"]:
        return "renditions"
    try:
        parse_parameters(ResizeParameters, body["parameters"])
    except ParametersInvalidError:
        return "crop"
    return "resize"
