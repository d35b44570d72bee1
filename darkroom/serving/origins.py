"""What pages in browsers may do: the hosts that are served where keys are off, the origins that may ask, CORS.

Without API keys, whoever reaches the service may use it, and any page in a browser on the same machine reaches it. So
where keys are off, a Host header must name this machine, the cluster or a configured host, and a request that changes
something must not come from a page of another origin. With keys, a page must know one.

CORS is the WHATWG Fetch standard's (section 3.2), off unless ALLOWED_ORIGINS names origins.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from darkroom.errors import HostRefusedError, OriginRefusedError
from darkroom.events.hosts import host_name, is_loopback, is_one_of, is_same_origin, parse_hosts, parse_origins
from darkroom.serving.settings import Settings

SECURITY_HEADERS = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'"}
"""Of every answer of a function: none is a page, and no browser shall take one for it."""
PREFLIGHT_KEPT_S = 600
_CLUSTER_NAMES = ("*.svc", "*.svc.cluster.local")
_READS = ("GET", "HEAD", "OPTIONS")
_REQUEST_HEADERS = frozenset(
    {
        "authorization",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "last-event-id",
        "traceparent",
        "tracestate",
        "x-request-id",
    }
)
_EXPOSED = "Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, WWW-Authenticate"


@dataclass(frozen=True, kw_only=True)
class BrowserRules:
    are_keys_on: bool
    origins: frozenset[str] = frozenset()
    """`*` stands for all of them."""
    hosts: frozenset[str] = frozenset()

    def check(self, request: Request) -> None:
        """Raise HostRefusedError or OriginRefusedError where keys are off and a page may be behind the request."""
        if self.are_keys_on:
            return
        host = request.headers.get("host", "")
        if not self._is_ours(host_name(host)):
            raise HostRefusedError.of(host)
        origin = request.headers.get("origin")
        if origin is None or request.method in _READS or self._allows(origin) or is_same_origin(origin, host):
            return
        raise OriginRefusedError.of(origin)

    def preflight(self, request: Request, methods: Collection[str]) -> Response | None:
        """Answer an OPTIONS request for a path with these methods; None where no origin is allowed to ask.

        Raises OriginRefusedError.
        """
        if not self.origins:
            return None
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))
        origin = request.headers.get("origin")
        if origin is None:
            return Response(status_code=204, headers={"allow": allowed})
        if not self._allows(origin):
            raise OriginRefusedError.of(origin)
        asked = request.headers.get("access-control-request-headers", "")
        names = [name.strip().lower() for name in asked.split(",")[:64]]
        taken = [name for name in names if name in _REQUEST_HEADERS or (name.startswith("ce-") and name[3:].isalnum())]
        headers = {
            "allow": allowed,
            "access-control-allow-methods": allowed,
            "access-control-allow-headers": ", ".join(taken),
            "access-control-max-age": str(PREFLIGHT_KEPT_S),
        }
        if request.headers.get("access-control-request-private-network") == "true":
            headers["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers={name: value for name, value in headers.items() if value})

    def fields(self, request: Request) -> dict[str, str]:
        """Return the header fields that every answer to this request has."""
        if not self.origins:
            return SECURITY_HEADERS
        fields = {**SECURITY_HEADERS, "vary": "Origin"}
        origin = request.headers.get("origin")
        if origin is not None and self._allows(origin):
            fields |= {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED}
        return fields

    def _allows(self, origin: str) -> bool:
        return "*" in self.origins or origin.lower() in self.origins

    def _is_ours(self, name: str) -> bool:
        """A name without a dot is a machine of this network or a Service of this namespace: no page has such a name."""
        return (
            is_loopback(name)
            or (name != "" and "." not in name and ":" not in name)
            or is_one_of(name, _CLUSTER_NAMES)
            or is_one_of(name, self.hosts)
        )


def browser_rules(settings: Settings) -> BrowserRules:
    return BrowserRules(
        are_keys_on=settings.api_keys == "on",
        origins=parse_origins(settings.allowed_origins or ""),
        hosts=parse_hosts(settings.allowed_hosts or ""),
    )
