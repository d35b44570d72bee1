"""Keeps connections on this machine off the proxies of the environment: no proxy reaches another machine's loopback.

HTTP clients, here and in functions, read `http_proxy`, `https_proxy` and `all_proxy`, in either case, and `no_proxy`.
"""

from __future__ import annotations

from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "localhost", ".localhost", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")
"""Programs differ in which of the two they read first."""


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Add loopback to the exceptions, if the environment names a proxy. Other exceptions stay."""
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return
    given = [host.strip() for name in _EXCEPTIONS for host in environment.get(name, "").split(",")]
    exceptions = ",".join(dict.fromkeys(host for host in (*given, *LOOPBACK) if host))
    for name in _EXCEPTIONS:
        environment[name] = exceptions
