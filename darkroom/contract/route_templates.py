"""Maps the path of an API request to its template, for metrics: ids must never become label values."""

from __future__ import annotations

import re
from functools import cache

FILES_PATH = "/api/v1/files"
"""Where the functions serve files by signed URLs, if they are the storage."""
_PLACEHOLDER = re.compile(r"\\{[^}]+\\}")
_KEY = re.escape("{key}")
"""A storage key, which may contain slashes."""


def route_template(path: str) -> str:
    """Return the template of a path without its query; empty for a path that the API does not have."""
    return next((template for template, pattern in _patterns() if pattern.fullmatch(path)), "")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    # Only here, since the image of a function that only needs the path has no description of the API.
    from darkroom.contract.openapi import openapi

    templates = sorted(openapi()["paths"])
    return [(template, _pattern(template)) for template in templates]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_PLACEHOLDER.sub("[^/]+", re.escape(template).replace(_KEY, ".+")))
