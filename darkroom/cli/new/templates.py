"""The texts that are written, from the files in `templates/`."""

from __future__ import annotations

import string
from importlib.resources import files


def render(template: str, **values: str) -> str:
    """Fill in a template such as `function/main.py`. Raises KeyError for a `$name` without a value."""
    text = files(__package__).joinpath("templates", f"{template}.template").read_text("utf-8")
    return string.Template(text).substitute(values)
