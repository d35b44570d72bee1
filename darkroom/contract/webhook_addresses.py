"""Which addresses a webhook may be sent to. Pure: names are resolved elsewhere; each resolved address is judged here.

A customer chooses the URL, and our function makes the request from inside the cluster. So whatever only the inside can
reach is refused (server-side request forgery): loopback, private and link-local networks, the cluster, and the metadata
services of clouds, in all the ways in which such an address can be written. An operator may name exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

SETTING = "WEBHOOK_ALLOW_PRIVATE"
MAX_URL_CHARACTERS = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CLUSTER_SUFFIXES = (".svc", ".cluster.local", ".local", ".localhost", ".internal")

_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052, section 2.1: the last 32 bits are an IPv4 address."""
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure and most others
        "169.254.170.2",  # AWS ECS credentials
        "168.63.129.16",  # Azure's wire server, which is a public address
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
    )
)
"""Metadata services: never reached, even from a network that an operator allows."""
# Named one by one, although ipaddress' is_global covers most: what that returns changed with versions of Python.
_FORBIDDEN: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (reason, tuple(ip_network(text) for text in networks))
    for reason, networks in (
        ("loopback", ("127.0.0.0/8", "::1/128")),
        ("unspecified", ("0.0.0.0/8", "::/128")),
        ("link-local", ("169.254.0.0/16", "fe80::/10")),
        ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        ("of a carrier's network (CGNAT)", ("100.64.0.0/10",)),
        ("multicast", ("224.0.0.0/4", "ff00::/8")),
        ("a tunnel's or a translator's", ("2001::/32", "64:ff9b:1::/48", "::/96", "192.88.99.0/24")),
        ("reserved", ("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24")),
        ("reserved", ("240.0.0.0/4", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16")),
    )
)


class WebhookTargetError(ValueError):
    """A URL or an address that no webhook is sent to. The message says what it is and what to do."""


@dataclass(frozen=True, kw_only=True)
class AllowedPrivate:
    """What WEBHOOK_ALLOW_PRIVATE names: networks, and names of hosts."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)

    def names_address(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)

    def names_host(self, host: str) -> bool:
        return host in self.hosts or any(host.endswith(name[1:]) for name in self.hosts if name.startswith("*."))


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a webhook goes, from its URL."""

    scheme: str
    host: str
    """In lower case, without brackets and without a final dot."""
    port: int
    address: Address | None
    """Set if the host is an address and no name."""
    path: str
    """With its query."""

    @property
    def authority(self) -> str:
        """The Host header: the host, and the port if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_allowed(text: str) -> AllowedPrivate:
    """Parse `10.0.0.0/8, 127.0.0.1, hooks.corp.example, *.shop.svc`. Raises ValueError."""
    networks, hosts = [], set()
    for part in (part.strip().lower() for part in text.split(",")):
        if not part:
            continue
        try:
            networks.append(ip_network(part))
        except ValueError:
            if "/" in part or not _is_name(part.removeprefix("*.")):
                message = "must be networks such as 10.0.0.0/8, or names of hosts, separated by commas"
                raise ValueError(f"{message}, was {part[:80]!r}") from None
            hosts.add(part)
    return AllowedPrivate(networks=tuple(networks), hosts=frozenset(hosts))


def parse_target(url: str, allowed: AllowedPrivate) -> Target:
    """Parse the URL and check what can be said before its name is resolved. Raises WebhookTargetError."""
    target = _parsed(url)
    is_allowed = allowed.names_host(target.host)
    if target.address is not None:
        check_address(target.address, target, allowed)
        is_allowed = is_allowed or allowed.names_address(target.address)
    elif not is_allowed:
        _check_name(target.host)
    if target.scheme != "https" and not is_allowed:
        raise WebhookTargetError(
            f"{target.host} is asked by http: the message would be readable on its way; use https, or have {SETTING} "
            "name the host"
        )
    return target


def check_address(address: Address, target: Target, allowed: AllowedPrivate) -> None:
    """Check one address that the target's name resolved to, or that it is. Raises WebhookTargetError."""
    reason = _refusal(address)
    if reason is None:
        return
    is_metadata = any(each in _METADATA for each in _meanings(address))
    if not is_metadata and (allowed.names_address(address) or allowed.names_host(target.host)):
        return
    hint = "" if is_metadata else f"; {SETTING}={_network_hint(address)} allows it"
    raise WebhookTargetError(f"{target.host} is at {address}, which is {reason}{hint}")


def _refusal(address: Address) -> str | None:
    """Return why the address is refused, or None for one that is public."""
    meanings = list(_meanings(address))
    if any(meaning in _METADATA for meaning in meanings):
        return "a metadata service"
    for meaning in meanings:
        for reason, networks in _FORBIDDEN:
            if any(meaning.version == network.version and meaning in network for network in networks):
                return reason
        if not meaning.is_global or meaning.is_multicast or meaning.is_reserved:
            if meaning in _NAT64:
                continue
            return "not public"
    return None


def _meanings(address: Address) -> Iterator[Address]:
    """Yield the addresses that a packet to this one may reach: what an IPv6 address embeds comes first."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            # An address with a zone equals none without.
            address = IPv6Address(int(address))
        if address.ipv4_mapped is not None:
            # The operating system connects to the IPv4 address; the mapped form is a way of writing it.
            yield address.ipv4_mapped
            return
        if address.sixtofour is not None:
            yield address.sixtofour
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)
    yield address


def _parsed(url: str) -> Target:
    if len(url) > MAX_URL_CHARACTERS:
        raise WebhookTargetError(f"a URL has at most {MAX_URL_CHARACTERS} characters, was {len(url)}")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise WebhookTargetError(
            "a URL is of printable ASCII characters, without spaces and backslashes; an "
            "international name is written as xn--..."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise WebhookTargetError(f"not a URL: {exc}") from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise WebhookTargetError(f"a webhook's URL begins with https://, was {parts.scheme[:20]!r}")
    if parts.username is not None or parts.password is not None:
        raise WebhookTargetError("a webhook's URL has no user name or password; the signature says who sends it")
    if parts.fragment or "#" in url:
        raise WebhookTargetError("a webhook's URL has no fragment (#...)")
    if port == 0:
        raise WebhookTargetError("port 0 cannot be connected to")
    host = (parts.hostname or "").removesuffix(".")
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        address=_literal(host, parts.netloc),
        path=f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
    )


def _literal(host: str, netloc: str) -> Address | None:
    if "%" in host:
        raise WebhookTargetError(f"{host[:80]!r} has a zone, so it is link-local or no name at all")
    if host == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        address = ip_address(host)
    except ValueError:
        if "[" in netloc or not _is_name(host):
            raise WebhookTargetError(f"not the name or the address of a host: {host[:80]!r}") from None
        return None
    if isinstance(address, IPv6Address) and "[" not in netloc:
        raise WebhookTargetError(f"an IPv6 address is written in brackets, as in https://[{host[:40]}]/")
    return address


def _is_name(host: str) -> bool:
    """Report whether it is a name that no resolver takes for an address, as it does 2130706433, 0x7f.1 or 127.1.

    A host whose last label is a number is an address (WHATWG URL, "ends in a number").
    """
    labels = host.split(".")
    return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


def _check_name(host: str) -> None:
    if "." not in host:
        raise WebhookTargetError(f"{host} is a name within a cluster or a network; {SETTING}={host} allows it")
    if host.endswith(_CLUSTER_SUFFIXES):
        raise WebhookTargetError(f"{host} is a name within a cluster or a machine; {SETTING}={host} allows it")


def _network_hint(address: Address) -> str:
    return "127.0.0.0/8" if address.version == 4 and address.is_loopback else str(address)
