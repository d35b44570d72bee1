"""Connects to an address that was checked, and to no other.

A name is resolved once per try. Each address that it has is checked, and the connection is made to one of these very
addresses: a name that answers differently the next time (DNS rebinding) is not asked a next time. TLS verifies the
certificate against the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

import httpcore

from darkroom.contract.webhook_addresses import Address, AllowedPrivate, Target, WebhookTargetError, check_address


class NameUnknownError(Exception):
    """The target's name has no address."""


class Resolve(Protocol):
    async def __call__(self, name: str, port: int) -> Sequence[str]:
        """Return the addresses of the name. Raises OSError."""


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """The network of one request to one target."""

    def __init__(self, target: Target, allowed: AllowedPrivate, resolve: Resolve) -> None:
        self._target = target
        self._allowed = allowed
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the target. Raises WebhookTargetError, NameUnknownError, httpcore.ConnectError."""
        addresses = await self._addresses()
        for address in addresses:
            # All of them: a name that is half inside is a trick, or a mistake.
            check_address(address, self._target, self._allowed)
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), self._target.port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def _addresses(self) -> Sequence[Address]:
        if self._target.address is not None:
            return [self._target.address]
        # The final dot keeps the resolver from trying the name within the cluster's domains (resolv.conf, "search").
        name = self._target.host if self._allowed.names_host(self._target.host) else f"{self._target.host}."
        try:
            found = await self._resolve(name, self._target.port)
        except (OSError, UnicodeError) as exc:
            raise NameUnknownError(f"the name {self._target.host} could not be resolved") from exc
        if not found:
            raise NameUnknownError(f"the name {self._target.host} has no address")
        try:
            return [ip_address(text) for text in dict.fromkeys(found)]
        except ValueError as exc:
            raise WebhookTargetError(f"{self._target.host} resolved to something that is no address") from exc

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise WebhookTargetError("webhooks go to no Unix socket")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
