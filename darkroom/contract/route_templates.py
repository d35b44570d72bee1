"""Which path of the API a request is for, as a metric names it: the template, so that ids never become label values."""

from __future__ import annotations

import re
from functools import cache

from darkroom.contract.openapi import openapi

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_PLACEHOLDER = re.compile(r"\\{[^}]+\\}")


def route_template(path: str) -> str:
    """Of a path without its query; empty for one that the API does not have."""
    return next((template for template, pattern in _patterns() if pattern.fullmatch(path)), "")


def method_label(method: str) -> str:
    """As OpenTelemetry's semantic conventions have it: what strangers make up is `_OTHER`."""
    return method if method in _METHODS else "_OTHER"


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    templates = sorted(openapi()["paths"])
    return [(template, re.compile(_PLACEHOLDER.sub("[^/]+", re.escape(template)))) for template in templates]
