"""Names of hosts and origins in requests: which of them lead to this machine alone. Pure.

A page in a browser can reach a service on loopback under its own name, by having its DNS answer 127.0.0.1 ("DNS
rebinding"). The Host header shows that name, and the page cannot change it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?)(:[0-9]{1,5})?")


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case, without its port and a final dot."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0].removeprefix("[")
    return name.partition(":")[0].removesuffix(".")


def is_loopback(name: str) -> bool:
    """Report whether a name or an address can lead to this machine only (RFC 6761, section 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_one_of(name: str, hosts: Collection[str]) -> bool:
    """Report whether a name is among `hosts`, where `*.example.org` stands for all names below it."""
    return any(name == host or (host.startswith("*.") and name.endswith(host[1:])) for host in hosts)


def parse_hosts(text: str) -> frozenset[str]:
    """Parse `darkroom.internal, *.example.org`. Raises ValueError."""
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    for name in names:
        if not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|(?=.*:.*:)[0-9a-f:]+", name):
            raise ValueError(f"must be host names without ports, separated by commas, was {name[:80]!r}")
    return frozenset(names)


def parse_origins(text: str) -> frozenset[str]:
    """Parse `https://shop.example, http://127.0.0.1:3000` or `*`; an empty text and `off` name none.

    Raises ValueError.
    """
    if text.strip().lower() in ("", "off"):
        return frozenset()
    origins = [part.strip().lower() for part in text.split(",") if part.strip()]
    for origin in origins:
        found = _ORIGIN.fullmatch(origin)
        if origin != "*" and (found is None or not _is_port(found[4])):
            raise ValueError(
                f"must be origins like https://shop.example or http://127.0.0.1:3000, without a path and separated by "
                f'commas, or "*", was {origin[:80]!r}'
            )
    return frozenset(_without_default_port(origin) for origin in origins)


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text[1:]) < 2**16


def _without_default_port(origin: str) -> str:
    """Return an origin as browsers write it (RFC 6454, section 6.1)."""
    for scheme, port in (("http", ":80"), ("https", ":443")):
        if origin.startswith(f"{scheme}://"):
            origin = origin.removesuffix(port)
    return origin


def is_same_origin(origin: str, host: str) -> bool:
    """Report whether a page of this origin and a request with this Host header are on the same host and port."""
    try:
        name = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return name != "" and name == host.strip().lower()
