"""The templates: Jinja2 with autoescape, ours first and then an application's, and the headers of each page."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from darkroom.console import formats

BASE = "/console"
"""Where everything of the console is, at whatever host."""


@cache
def environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    loaders = [PackageLoader(package, folder) for package, folder in (("darkroom.console", "templates"), *templates)]
    created = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    created.globals.update(base=BASE, now=time.time)
    created.filters.update(
        duration=formats.duration,
        ago=lambda at: formats.ago(at, time.time()),
        clock=formats.clock,
        seconds=formats.seconds,
        timestamp=formats.timestamp,
        number=formats.number,
        size=formats.size,
        below_console=below_console,
        with_code=with_code,
    )
    return created


def below_console(link: str) -> str:
    """Return the address of a link that findings give with or without `/console` before it."""
    return link if link.startswith((f"{BASE}/", "http://", "https://")) else f"{BASE}/{link.removeprefix('/')}"


def with_code(sentence: str) -> Markup:
    """Return a sentence as HTML, in which what stands between backticks is code."""
    parts = [escape(part) for part in sentence.split("`")]
    if len(parts) % 2 == 0:
        return escape(sentence)
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def page_headers(image_sources: Collection[str] = ()) -> dict[str, str]:
    """Return the headers of a page. `image_sources` are origins of pictures, besides the console's own."""
    images = " ".join(["'self'", "data:", *image_sources])
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        f"img-src {images}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        # With `no-referrer` browsers send `Origin: null` with a form, which no action takes.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
