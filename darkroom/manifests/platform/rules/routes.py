"""HTTPRoutes: what the Gateway API's own validation refuses, apart from the values of single fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from darkroom.events.durations import parse_go
from darkroom.manifests.platform.bundle import Bundle, mappings
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.schema.gateway import FILTER_FIELDS
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_FORBIDDEN = ("//", "/./", "/../", "%2f", "%2F", "#")
_ONCE = tuple(name for name in FILTER_FIELDS if name not in {"RequestMirror", "ExtensionRef"})
_MAX_MATCHES = 128
GOOD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: pictures}
spec:
  parentRefs: [{name: gateway}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /jobs}}]
      backendRefs: [{name: status, port: 80}]
      timeouts: {request: 130s}
"""

Below = Iterator[tuple[FieldPath, str]]


@rule(
    "http-route",
    Severity.ERROR,
    "an HTTPRoute that the Gateway API refuses",
    on_the_cluster="The API server refuses the route.",
    fix="Follow the message.",
    bad=GOOD.replace("value: /jobs", "value: jobs"),
    good=GOOD,
)
def route(bundle: Bundle) -> Iterator[RuleViolation]:
    for each in bundle.of_kind("gateway.networking.k8s.io/", "HTTPRoute"):
        rules = [*each.items("spec", "rules")]
        total = sum(len(found) for _, item in rules if isinstance(found := item.get("matches"), list))
        if total > _MAX_MATCHES:
            yield each, ("spec", "rules"), f"all rules together may have {_MAX_MATCHES} matches, have {total}"
        for path, item in rules:
            for below, message in _rule_problems(item):
                yield each, (*path, *below), message
        for path, message in _parent_problems([*each.items("spec", "parentRefs")]):
            yield each, path, message


def _parent_problems(parents: list[tuple[FieldPath, dict[str, Any]]]) -> Below:
    seen: dict[tuple[Any, ...], list[tuple[Any, Any]]] = {}
    for path, parent in parents:
        identity = tuple(str(parent.get(name) or default) for name, default in _PARENT)
        sections = seen.setdefault(identity, [])
        section = (str(parent.get("sectionName") or ""), str(parent.get("port") or ""))
        if section in sections:
            yield path, f"the parent {parent.get('name')!r} is listed twice with the same sectionName and port"
        elif sections and (section == ("", "") or ("", "") in sections):
            yield path, f"several references to {parent.get('name')!r} each need a sectionName or a port"
        sections.append(section)


_PARENT = (("group", "gateway.networking.k8s.io"), ("kind", "Gateway"), ("namespace", ""), ("name", ""))


def _rule_problems(item: dict[str, Any]) -> Below:
    for index, match in mappings(item.get("matches")):
        path = match.get("path")
        if isinstance(path, dict):
            yield from (
                (("matches", index, "path", "value"), message)
                for message in _path_problems(path.get("type", "PathPrefix"), str(path.get("value", "/")))
            )
    filters = [*mappings(item.get("filters"))]
    yield from ((("filters", *below), message) for below, message in _filter_problems(filters, item))
    backends = [*mappings(item.get("backendRefs"))]
    for index, backend in backends:
        if _is_service(backend) and backend.get("port") is None:
            yield ("backendRefs", index), f"a Service needs a port, {backend.get('name')!r} has none"
        own = [*mappings(backend.get("filters"))]
        for below, message in _filter_problems(own, item):
            yield ("backendRefs", index, "filters", *below), message
    if backends and any(each.get("requestRedirect") is not None for _, each in filters):
        yield ("filters",), "RequestRedirect and backendRefs exclude each other"
    yield from _timeout_problems(item)


def _path_problems(kind: str, value: str) -> Iterator[str]:
    if kind not in ("Exact", "PathPrefix"):
        return
    if not value.startswith("/"):
        yield f"a path begins with /, was {value!r}"
    for part in _FORBIDDEN:
        if part in value:
            yield f"a path has no {part}, was {value!r}"
    if value.endswith(("/..", "/.")):
        yield f"a path does not end with /. or /.., was {value!r}"
    if not _PATH.fullmatch(value) and "#" not in value:
        yield f"a path has letters, digits, -/._~!$&'()*+,;=:@ and %20, was {value!r}"


def _is_service(backend: dict[str, Any]) -> bool:
    return not backend.get("group") and backend.get("kind", "Service") == "Service"


def _filter_problems(filters: list[tuple[int, dict[str, Any]]], item: dict[str, Any]) -> Below:
    kinds = [each.get("type") for _, each in filters]
    for once in _ONCE:
        if kinds.count(once) > 1:
            yield (), f"the filter {once} may be used once, is used {kinds.count(once)} times"
    if "RequestRedirect" in kinds and "URLRewrite" in kinds:
        yield (), "RequestRedirect and URLRewrite exclude each other"
    for index, each in filters:
        kind = each.get("type")
        for name, own in FILTER_FIELDS.items():
            if kind == name and each.get(own) is None:
                yield (index,), f"a filter of the type {name} needs the field {own}"
            elif kind != name and each.get(own) is not None:
                yield (index, own), f"{own} belongs to a filter of the type {name}, this one is {kind}"
        mirror = each.get("requestMirror")
        if isinstance(mirror, dict):
            yield from (((index, "requestMirror"), message) for message in _mirror_problems(mirror))
        for field in ("requestRedirect", "urlRewrite"):
            change = each.get(field)
            path = change.get("path") if isinstance(change, dict) else None
            if isinstance(path, dict):
                yield from (((index, field, "path"), message) for message in _change_problems(path, item))


def _mirror_problems(mirror: dict[str, Any]) -> Iterator[str]:
    if mirror.get("percent") is not None and mirror.get("fraction") is not None:
        yield "percent and fraction exclude each other"
    backend = mirror.get("backendRef")
    if isinstance(backend, dict) and _is_service(backend) and backend.get("port") is None:
        yield f"a Service needs a port, {backend.get('name')!r} has none"
    fraction = mirror.get("fraction")
    if isinstance(fraction, dict):
        numerator, denominator = fraction.get("numerator"), fraction.get("denominator", 100)
        if isinstance(numerator, int) and isinstance(denominator, int) and numerator > denominator:
            yield f"the fraction is more than 1: {numerator}/{denominator}"


def _change_problems(path: dict[str, Any], item: dict[str, Any]) -> Iterator[str]:
    kind = path.get("type")
    for name, field in (("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch")):
        if (kind == name) != (path.get(field) is not None):
            yield f"the type {name} requires the field {field}, and the reverse"
    if kind == "ReplacePrefixMatch" and path.get("replacePrefixMatch") is not None:
        matches = [match for _, match in mappings(item.get("matches"))]
        found = matches[0].get("path") if len(matches) == 1 else None
        if matches and (not isinstance(found, dict) or found.get("type", "PathPrefix") != "PathPrefix"):
            yield "replacePrefixMatch requires exactly one match, of the type PathPrefix"


def _timeout_problems(item: dict[str, Any]) -> Below:
    timeouts = item.get("timeouts")
    if not isinstance(timeouts, dict):
        return
    try:
        request_s, backend_s = (parse_go(str(timeouts.get(name) or "0s")) for name in ("request", "backendRequest"))
    except ValueError:
        return  # field-value reports it.
    if request_s and backend_s > request_s:
        yield (
            ("timeouts", "backendRequest"),
            f"backendRequest must not be above request: {backend_s:g} s, {request_s:g} s",
        )
