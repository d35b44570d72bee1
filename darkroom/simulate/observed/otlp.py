"""Reads traces in OTLP's JSON encoding, as the collector's file exporter writes them: one document per line, or one.

A service time is a span of kind SERVER or CONSUMER of the Service (`service.name`); a start is a span whose attribute
`faas.coldstart` is true, or whose name is `cold start`.

The encoding: opentelemetry-proto, opentelemetry/proto/trace/v1/trace.proto, with 64-bit numbers as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from darkroom.simulate.observed.model import Observed, ObservedError, with_at_once

_SERVES = frozenset({2, 5, "SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER"})


def is_otlp(document: Any) -> bool:
    return isinstance(document, Mapping) and "resourceSpans" in document


def read_otlp(text: str, *, service: str, source: str) -> Observed:
    """Read the spans of a Service. Raises ObservedError."""
    try:
        spans = [span for document in _documents(text) for span in _spans(document, service)]
        served = [_seconds(span) for span in spans if span.get("kind") in _SERVES and not _is_start(span)]
        starts = [(_at(span, "endTimeUnixNano"), _seconds(span)) for span in spans if _is_start(span)]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ObservedError(f"{source} is not OTLP's JSON: {exc!r}") from exc
    if not served and not starts:
        raise ObservedError(f"{source} has no SERVER or CONSUMER span of the service {service}")
    return Observed(source=source, service_s=tuple(served), starts=with_at_once(starts))


def _documents(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        yield json.loads(text)
    except ValueError:
        yield from (json.loads(line) for line in text.splitlines() if line.strip())


def _spans(document: Mapping[str, Any], service: str) -> Iterator[Mapping[str, Any]]:
    for resource in document["resourceSpans"]:
        names = _attributes(resource.get("resource", {}).get("attributes", ()))
        if service in (names.get("service.name"), names.get("faas.name"), names.get("k8s.service.name")):
            for scope in resource.get("scopeSpans", ()):
                yield from scope.get("spans", ())


def _attributes(pairs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values()), None) for pair in pairs}


def _is_start(span: Mapping[str, Any]) -> bool:
    return span.get("name") == "cold start" or _attributes(span.get("attributes", ())).get("faas.coldstart") is True


def _at(span: Mapping[str, Any], name: str) -> float:
    return int(span[name]) / 1e9


def _seconds(span: Mapping[str, Any]) -> float:
    return _at(span, "endTimeUnixNano") - _at(span, "startTimeUnixNano")
