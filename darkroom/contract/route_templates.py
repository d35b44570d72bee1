"""Which path of the API a request is for, as a metric names it: the template, so that ids never become label values."""

from __future__ import annotations

import re
from functools import cache

from darkroom.contract.openapi import openapi

_PLACEHOLDER = re.compile(r"\\{[^}]+\\}")


def route_template(path: str) -> str:
    """Of a path without its query; empty for one that the API does not have."""
    return next((template for template, pattern in _patterns() if pattern.fullmatch(path)), "")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    templates = sorted(openapi()["paths"])
    return [(template, re.compile(_PLACEHOLDER.sub("[^/]+", re.escape(template)))) for template in templates]
