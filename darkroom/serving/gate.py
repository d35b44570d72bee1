"""The gate in front of a function's routes: authentication and rate limits.

A request with a valid key counts against its key; any other against its address, also when its key is refused, so that
keys cannot be guessed faster than the rate. Each function counts separately.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from darkroom.contract import rates
from darkroom.contract.errors import AuthInvalidError, AuthMissingError, RateLimitedError
from darkroom.contract.rates import Rate
from darkroom.serving.auth import NOBODY, Authenticator, authenticator
from darkroom.serving.client_address import Network, client_address, parse_networks
from darkroom.serving.resources import Resources


@dataclass(frozen=True, kw_only=True)
class Gate:
    authenticator: Authenticator
    resources: Resources
    rate: Rate | None
    """None means no limit."""
    scope: str
    """What is counted together: the function's name."""
    trusted_proxies: tuple[Network, ...] = ()

    async def admit(self, request: Request) -> str:
        """Admit the request and return its owner's id. Stores the rate's header fields for the response, whatever it
        will be.

        Raises AuthMissingError, AuthInvalidError, RateLimitedError and DependencyUnavailableError.
        """
        if self.rate is None:
            return self.authenticator.owner_of(request.headers)
        try:
            owner = self.authenticator.owner_of(request.headers)
        except (AuthMissingError, AuthInvalidError):
            await self._count(request, self.rate, "address", self._address(request))
            raise
        if owner == NOBODY:
            await self._count(request, self.rate, "address", self._address(request))
        else:
            await self._count(request, self.rate, "key", owner)
        return owner

    async def _count(self, request: Request, rate: Rate, policy: str, name: str) -> None:
        decision = await self.resources.rates.ask(f"{self.scope}:{policy}:{name}", rate)
        request.state.answer_headers = rates.fields(policy, rate, decision)
        if not decision.admitted:
            raise RateLimitedError(
                f"this {policy} may send {rate.limit} requests in {rate.period_s} s; "
                f"the next is admitted in {decision.retry_after_s:.3f} s",
                retry_after_s=rates.retry_after_s(decision),
            )

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client else "unknown"
        return client_address(peer, ",".join(request.headers.getlist("x-forwarded-for")), self.trusted_proxies)


def make_gate(resources: Resources, *, rate: Rate | None, scope: str) -> Gate:
    """Build the gate from the settings. Raises SettingsError."""
    settings = resources.settings
    return Gate(
        authenticator=authenticator(settings),
        resources=resources,
        rate=rate,
        scope=scope,
        trusted_proxies=parse_networks(settings.trusted_proxies or ""),
    )
