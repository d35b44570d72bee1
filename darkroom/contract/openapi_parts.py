"""The parameters, headers and responses that the operations of the OpenAPI document share."""

from __future__ import annotations

from darkroom.contract.errors import DarkroomError
from darkroom.contract.listing import IDEMPOTENCY_KEY_PATTERN
from darkroom.contract.schemas import Schema, reference

PROBLEM = "application/problem+json"

_HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-Id": ("The caller's, if it was valid, else a new one.", {"type": "string"}),
    "RateLimit": ("What is left of the rate, draft-ietf-httpapi-ratelimit-headers-10.", {"type": "string"}),
    "RateLimit-Policy": ("The rate, in the same draft's form.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before another try.", {"type": "integer", "minimum": 1}),
    "Location": ("The job.", {"type": "string", "format": "uri-reference"}),
    "WWW-Authenticate": ("Bearer.", {"type": "string"}),
}


def header_components() -> dict[str, Schema]:
    return {name: {"description": description, "schema": schema} for name, (description, schema) in _HEADERS.items()}


def accepted(description: str, schema: Schema) -> Schema:
    return response(description, schema, "Location")


def response(description: str, schema: Schema, *headers: str) -> Schema:
    return {
        "description": description,
        "headers": response_headers("X-Request-Id", "RateLimit", "RateLimit-Policy", *headers),
        "content": {"application/json": {"schema": schema}},
    }


def problem_responses(*kinds: type[DarkroomError]) -> dict[str, Schema]:
    """Return one response per status, with the error codes it may have."""
    by_status: dict[int, list[type[DarkroomError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        by_status.setdefault(kind.status, []).append(kind)
    return {str(status): _problem_response(found) for status, found in by_status.items()}


def _problem_response(kinds: list[type[DarkroomError]]) -> Schema:
    headers = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    if kinds[0].status in {429, 503}:
        headers.append("Retry-After")
    if kinds[0].status == 401:
        headers.append("WWW-Authenticate")
    codes: Schema = {"properties": {"code": {"enum": [kind.code for kind in kinds]}}}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds),
        "headers": response_headers(*headers),
        "content": {PROBLEM: {"schema": {"allOf": [reference("Problem"), codes]}}},
    }


def response_headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def in_query(name: str, schema: Schema) -> Schema:
    """Return a query parameter; its description is the schema's."""
    description = {key: member for key, member in schema.items() if key == "description"}
    rest = {key: member for key, member in schema.items() if key != "description"}
    return {"name": name, "in": "query", **description, "schema": rest}


def in_header(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def job_id() -> Schema:
    schema = {"type": "string", "format": "uuid"}
    return {"name": "job_id", "in": "path", "required": True, "description": "The job.", "schema": schema}


def priority() -> Schema:
    description = (
        "The urgency of RFC 9218. `u=7` is background: nobody waits for the job, which has a Service of its own and "
        "delays no other. Anything else changes nothing."
    )
    return in_header("Priority", description, {"type": "string"})


def idempotency_key() -> Schema:
    description = "The same key with the same request returns the first job; with another request, 422."
    return in_header("Idempotency-Key", description, {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN})
