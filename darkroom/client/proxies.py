"""Loopback is never reached through a proxy, whatever `http_proxy` says: a proxy would look on its own machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

DIRECT: dict[str, None] = dict.fromkeys(("all://localhost", "all://*.localhost", "all://127.0.0.1", "all://[::1]"))
"""For httpx's `mounts`: None is the client's own transport."""


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine, by its name or address alone."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
