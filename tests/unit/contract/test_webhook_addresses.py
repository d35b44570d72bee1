"""Which addresses webhooks may go to, in every way in which an address can be written."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.contract.webhook_addresses import (
    Address,
    AllowedPrivate,
    WebhookTargetError,
    check_address,
    parse_allowed,
    parse_target,
)

NOTHING = AllowedPrivate()
A_TARGET = parse_target("https://hooks.example.com/", NOTHING)

INSIDE = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8"),
    *("224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24", "198.18.0.0/15", "192.0.2.0/24"),
    *("::1/128", "::/128", "fe80::/10", "fc00::/7", "fec0::/10", "ff00::/8", "64:ff9b:1::/48", "2001::/32", "100::/64"),
)
EMBEDDED: dict[str, Callable[[Address], Address]] = {
    "mapped": lambda inner: ip_address(f"::ffff:{inner}"),
    "6to4": lambda inner: IPv6Address((0x2002 << 112) | (int(inner) << 80) | 1),
    "NAT64": lambda inner: IPv6Address((0x64FF9B << 96) | int(inner)),
    "compatible": lambda inner: IPv6Address(int(inner)),
}
PUBLIC = ("93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1")


def is_refused(address: Address, allowed: AllowedPrivate = NOTHING) -> bool:
    try:
        check_address(address, A_TARGET, allowed)
    except WebhookTargetError:
        return True
    return False


def addresses_within(*networks: str) -> st.SearchStrategy[Address]:
    chosen = st.sampled_from([ip_network(text) for text in networks])
    return chosen.flatmap(lambda network: st.integers(0, network.num_addresses - 1).map(lambda offset: network[offset]))


@given(addresses_within(*INSIDE))
def test_no_address_of_the_inside_is_reached(address: Address) -> None:
    assert is_refused(address)


@given(addresses_within(*(text for text in INSIDE if ":" not in text)), st.sampled_from(sorted(EMBEDDED)))
def test_no_ipv6_form_of_an_inner_ipv4_address_is_reached(address: IPv4Address, form: str) -> None:
    assert is_refused(EMBEDDED[form](address)), form


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_whatever_python_holds_for_private_is_refused(address: Address) -> None:
    if not address.is_global:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        is_nat64 = address in ip_network("64:ff9b::/96")
        assert is_refused(address) or mapped is not None or is_nat64


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_reached(text: str) -> None:
    assert not is_refused(ip_address(text))


@pytest.mark.parametrize("form", ["mapped", "6to4", "NAT64"])
def test_a_public_address_in_an_ipv6_form_is_judged_by_what_it_embeds(form: str) -> None:
    assert not is_refused(EMBEDDED[form](ip_address("8.8.8.8")))


@pytest.mark.parametrize(
    "text",
    [
        *("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "::ffff:169.254.169.254"),
        *("fd00:ec2::254%1", "fd00:ec2::254%eth0"),
    ],
)
def test_a_metadata_service_is_refused_whatever_is_allowed(text: str) -> None:
    everything = parse_allowed("0.0.0.0/0, ::/0, hooks.example.com")
    assert is_refused(ip_address(text), everything)
    assert not is_refused(ip_address("10.1.2.3"), everything)


@given(addresses_within("10.0.0.0/8", "192.168.0.0/16", "fd00::/8"))
def test_a_network_that_is_allowed_is_reached_and_no_other(address: Address) -> None:
    allowed = parse_allowed("10.0.0.0/8, fd12::/16")
    inside = any(address in ip_network(text) for text in ("10.0.0.0/8", "fd12::/16") if _fits(address, text))
    assert is_refused(address, allowed) is not inside or address == ip_address("fd00:ec2::254")


def _fits(address: Address, text: str) -> bool:
    return ip_network(text).version == address.version


@pytest.mark.parametrize(
    "url",
    [
        # The ways of inet_aton: what a resolver takes for 127.0.0.1 or 169.254.169.254.
        *("https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://0177.0.0.1/"),
        *("https://0x7f.1/", "https://127.1/", "https://127.0.1/", "https://2852039166/", "https://127.0.0.1./"),
        *("https://127.0.0.1/", "https://127.255.255.255/", "https://0/", "https://0.0.0.0/", "https://[::1]/"),
        *("https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[fe80::1%25eth0]/"),
        *("https://[fe80::1%eth0]/", "https://[2002:7f00:1::]/", "https://[64:ff9b::7f00:1]/", "https://[fd00::1]/"),
        # Names of the inside.
        *("https://localhost/", "https://localhost./", "https://LOCALHOST/", "https://redis/", "https://a.localhost/"),
        *("https://redis.darkroom.svc/", "https://redis.darkroom.svc.cluster.local/", "https://x.SVC./"),
        *("https://metadata.google.internal/", "https://printer.local/"),
        # What two parsers could read differently.
        *("https://user@hooks.example.com/", "https://user:pass@hooks.example.com/", "https://@hooks.example.com/"),
        *("https://hooks.example.com\\@127.0.0.1/", "https://hooks.example.com#@127.0.0.1/", "https://a b.example/"),
        *("https://hooks.example.com\n.svc/", "https://\t127.0.0.1/", "https://１２７.0.0.1/", "https://ⓔxample.com/"),
        *("https://[hooks.example.com]/", "https://::1/", "https:///path", "https://", "hooks.example.com", ""),
        *("https://hooks..example.com/", "https://-a.example.com/", f"https://{'a' * 64}.example.com/"),
        *("https://hooks.example.com:0/", "https://hooks.example.com:65536/", "https://hooks.example.com:x/"),
        *("http://hooks.example.com/", "ftp://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com/"),
        f"https://hooks.example.com/{'a' * 2000}",
    ],
)
def test_a_url_that_leads_inside_or_is_ambiguous_is_refused(url: str) -> None:
    with pytest.raises(WebhookTargetError):
        parse_target(url, NOTHING)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", 443, "/"),
        ("https://Hooks.Example.com./darkroom?shop=1", "hooks.example.com", 443, "/darkroom?shop=1"),
        ("https://hooks.example.com:8443/a%20b", "hooks.example.com", 8443, "/a%20b"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("https://[2606:4700:4700::1111]:8443/", "2606:4700:4700::1111", 8443, "/"),
        ("https://xn--hxa.example/", "xn--hxa.example", 443, "/"),
        ("https://3com.example1/", "3com.example1", 443, "/"),
    ],
)
def test_a_public_url_is_taken(url: str, host: str, port: int, path: str) -> None:
    target = parse_target(url, NOTHING)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_the_error_names_the_setting_that_allows_loopback() -> None:
    for url in ("http://127.0.0.1:9000/hook", "http://localhost:9000/hook"):
        with pytest.raises(WebhookTargetError, match=r"WEBHOOK_ALLOW_PRIVATE=127\.0\.0\.0/8 allows it"):
            parse_target(url, NOTHING)
        assert parse_target(url, parse_allowed("127.0.0.0/8")).port == 9000


def test_names_that_are_allowed_may_be_asked_without_tls() -> None:
    allowed = parse_allowed("hooks.shop.svc, *.corp.example, redis")
    for url in ("http://hooks.shop.svc/", "http://a.corp.example/", "http://redis:8080/"):
        assert parse_target(url, allowed).scheme == "http"
    with pytest.raises(WebhookTargetError):
        parse_target("http://corp.example/", allowed)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "http://hooks", "a b", "10.0.0", "user@host", "*"])
def test_what_may_be_allowed_is_checked(text: str) -> None:
    with pytest.raises(ValueError, match="must be networks"):
        parse_allowed(text)
