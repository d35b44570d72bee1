"""Finds the Service for a request, by the HTTPRoutes and the precedence rules of the Gateway API.

The rules (https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec) prefer the most specific host name; then an
exact path, the longest prefix, a method, the most headers; then the first in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from darkroom.manifests.gateway import HTTPRoute, RouteMatch, RouteRule
from darkroom.manifests.revision import ServiceKey


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A Knative Service."""

    namespace: str
    service: str
    port: int
    hostname: str | None = None
    """The value to which the Host header is rewritten, if any."""
    timeout_s: float | None = None
    """For the whole exchange; None: the route sets no limit."""

    @property
    def key(self) -> ServiceKey:
        return (self.namespace, self.service)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    hostname: str | None
    match: RouteMatch
    backend: Backend
    order: int

    @property
    def precedence(self) -> tuple[int, int, bool, int, bool, int, int]:
        """Return the sort key; smaller comes first."""
        hostname = self.hostname or ""
        path = self.match.path
        return (
            # Most specific first: an exact name, then wildcards by length, then no name.
            0 if hostname and not hostname.startswith("*.") else 1,
            -len(hostname),
            path.type != "Exact",
            -len(path.value.rstrip("/")),
            self.match.method is None,
            -len(self.match.headers),
            self.order,
        )

    def matches(self, method: str, host: str, path: str, headers: Mapping[str, str]) -> bool:
        return (
            _host_matches(self.hostname, host)
            and (self.match.method is None or self.match.method == method)
            and _path_matches(self.match, path)
            and all(headers.get(header.name.lower()) == header.value for header in self.match.headers)
        )


class RouteTable:
    """The rules of all routes in order of precedence: the first that matches a request decides."""

    def __init__(self, routes: Sequence[HTTPRoute]) -> None:
        self._entries = sorted(_entries(routes), key=lambda entry: entry.precedence)

    def find(self, *, method: str, host: str, path: str, headers: Mapping[str, str]) -> Backend | None:
        """Find a request's backend. `host` is the Host header, `path` has no query, header names are lower case."""
        name = _without_port(host)
        return next((e.backend for e in self._entries if e.matches(method, name, path, headers)), None)


def _entries(routes: Sequence[HTTPRoute]) -> Iterator[_Entry]:
    order = 0
    for route in routes:
        for rule in route.spec.rules:
            backend = _backend(route, rule)
            hostnames: Sequence[str | None] = route.spec.hostnames or [None]
            for match, hostname in itertools.product(rule.matches or [RouteMatch()], hostnames):
                yield _Entry(hostname=hostname, match=match, backend=backend, order=order)
                order += 1


def _backend(route: HTTPRoute, rule: RouteRule) -> Backend:
    namespace, service = route.knative_service(rule)
    return Backend(
        namespace=namespace,
        service=service,
        port=rule.backend.port,
        hostname=rule.rewritten_hostname,
        timeout_s=rule.timeout_s,
    )


def _without_port(host: str) -> str:
    name = host.lower()
    if name.startswith("["):  # An IPv6 address is full of colons.
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def _host_matches(hostname: str | None, host: str) -> bool:
    if hostname is None:
        return True
    if hostname.startswith("*."):
        # The asterisk stands for one or more labels.
        return host.endswith(hostname[1:]) and len(host) > len(hostname) - 1
    return host == hostname


def _path_matches(match: RouteMatch, path: str) -> bool:
    value = match.path.value
    if match.path.type == "Exact":
        return path == value
    # Whole elements only: /a matches /a, /a/ and /a/b but not /ab; a trailing slash of the prefix is ignored.
    prefix = value.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")
