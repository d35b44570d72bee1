"""Determines the client's address. A forwarded address is believed only from trusted proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse `10.0.0.0/8, 127.0.0.1`. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the last address of the chain that is not a trusted proxy's: each proxy appends its peer to
    X-Forwarded-For.

    `peer` is the address at the other end of the connection.
    """
    chain = [*(part.strip() for part in forwarded_for.split(",") if part.strip()), peer]
    while len(chain) > 1 and _is_trusted(chain[-1], trusted) and _is_address(chain[-2]):
        chain.pop()
    return chain[-1]


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
