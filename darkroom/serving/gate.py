"""The gate in front of a function's routes: authentication and rate limits.

A request with a valid key counts against its key; any other against its address, also when its key is refused, so that
keys cannot be guessed faster than the rate. Each function counts separately.

A request counts once, whatever its answer: it asks for one job, or reads. An endpoint whose requests ask for any number
of jobs is in `counted_by_endpoint` and calls `count`. Bytes are counted by endpoints too, with `count_bytes`, once they
are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from darkroom.contract import rates
from darkroom.contract.errors import AuthInvalidError, AuthMissingError, RateLimitedError
from darkroom.contract.rates import Rate, RateDecision
from darkroom.serving.auth import NOBODY, Authenticator, authenticator
from darkroom.serving.client_address import Network, client_address, parse_networks
from darkroom.serving.origins import BrowserRules, browser_rules
from darkroom.serving.resources import Resources


def _never(_request: Request) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """Whose rate a request uses up."""

    policy: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    authenticator: Authenticator
    resources: Resources
    rate: Rate | None
    """None means no limit."""
    scope: str
    """What is counted together: the function's name."""
    byte_rate: Rate | None = None
    what: str = "requests"
    """What the rate limits, for error messages."""
    counted_apart: Mapping[str, str] = field(default_factory=dict)
    """Routes that ask for something else than the others, and for what: they have the same rate for themselves."""
    counted_by_endpoint: Callable[[Request], bool] = _never
    """Whether the endpoint counts this request with `count`. It is refused before where nothing is left."""
    trusted_proxies: tuple[Network, ...] = ()
    browsers: BrowserRules = field(default_factory=lambda: BrowserRules(are_keys_on=True))

    async def admit(self, request: Request) -> str:
        """Admit the request and return its owner's id. Stores the rate's header fields for the response, whatever it
        will be.

        Raises HostRefusedError, OriginRefusedError, AuthMissingError, AuthInvalidError, RateLimitedError and
        DependencyUnavailableError.
        """
        self.browsers.check(request)
        try:
            owner = self.authenticator.owner_of(request.headers)
        except (AuthMissingError, AuthInvalidError):
            request.state.counted = _Counted(policy="address", name=self._address(request))
            await self.count(request)
            raise
        is_key = owner != NOBODY
        policy, name = ("key", owner) if is_key else ("address", self._address(request))
        request.state.counted = _Counted(policy=policy, name=name)
        await self._refuse_declared_length(request)
        await self._ask(request, self.rate, counts=not self.counted_by_endpoint(request))
        return owner

    async def count(self, request: Request, units: int = 1) -> None:
        """Count what the request asks for, all of it or nothing. Raises RateLimitedError."""
        await self._ask(request, self.rate, units)

    async def count_bytes(self, request: Request, size_bytes: int) -> None:
        """Count the bytes of the request's pictures, all of them or nothing. Raises RateLimitedError."""
        await self._ask(request, self.byte_rate, size_bytes)

    async def _refuse_declared_length(self, request: Request) -> None:
        """Refuse a body that is beyond what is left before any of it is read. It is counted once it is there."""
        declared = request.headers.get("content-length", "")
        if self.byte_rate is not None and declared.isascii() and declared.isdigit() and len(declared) < 16:
            await self._ask(request, self.byte_rate, int(declared), counts=False)

    async def _ask(self, request: Request, rate: Rate | None, units: int = 1, *, counts: bool = True) -> None:
        if rate is None:
            return
        counted: _Counted = request.state.counted
        is_of_bytes = rate.unit == "content-bytes"
        apart = "bytes" if is_of_bytes else self.counted_apart.get(getattr(request.state, "route", ""))
        policy = counted.policy if apart is None else f"{counted.policy}-{apart}"
        decision = await self.resources.rates.ask(
            f"{self.scope}:{policy}:{counted.name}", rate, cost=units, counts=counts
        )
        _add_fields(request, policy, rate, decision)
        if not decision.admitted:
            what = "bytes" if is_of_bytes else apart or self.what
            raise _limited(counted.policy, what, rate, units, decision)

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client else "unknown"
        return client_address(peer, ",".join(request.headers.getlist("x-forwarded-for")), self.trusted_proxies)


def _add_fields(request: Request, policy: str, rate: Rate, decision: RateDecision) -> None:
    """Set the header fields of the response: the latest decision under each policy."""
    policies: dict[str, dict[str, str]] = getattr(request.state, "rate_fields", {})
    request.state.rate_fields = policies = {**policies, policy: rates.fields(policy, rate, decision)}
    request.state.answer_headers = rates.joined_fields(policies.values())


def _limited(who: str, what: str, rate: Rate, units: int, decision: RateDecision) -> RateLimitedError:
    allowed = f"this {who} may ask for {rate.limit} {what} in {rate.period_s} s"
    if units > rate.limit:
        advice = f"this request asks for {units}, which is never admitted at once: send less in one request"
    elif units == 1:
        advice = f"the next is admitted in {decision.retry_after_s:.3f} s"
    else:
        advice = (
            f"this request asks for {units} and {decision.remaining} are left; "
            f"as many are admitted in {decision.retry_after_s:.3f} s"
        )
    return RateLimitedError(f"{allowed}; {advice}", retry_after_s=rates.retry_after_s(decision))


def make_gate(
    resources: Resources,
    *,
    rate: Rate | None,
    scope: str,
    byte_rate: Rate | None = None,
    what: str = "requests",
    counted_apart: Mapping[str, str] | None = None,
    counted_by_endpoint: Callable[[Request], bool] = _never,
) -> Gate:
    """Build the gate from the settings. Raises SettingsError."""
    settings = resources.settings
    return Gate(
        authenticator=authenticator(settings),
        resources=resources,
        rate=rate,
        byte_rate=byte_rate,
        scope=scope,
        what=what,
        counted_apart=counted_apart or {},
        counted_by_endpoint=counted_by_endpoint,
        trusted_proxies=parse_networks(settings.trusted_proxies or ""),
        browsers=browser_rules(settings),
    )
