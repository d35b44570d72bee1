"""Names of hosts and origins: what leads to this machine, and what settings may name."""

from __future__ import annotations

import pytest

from darkroom.events.hosts import host_name, is_loopback, is_one_of, is_same_origin, parse_hosts, parse_origins


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.:80",
        "a.b.localhost",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:8080",
        "[::1]",
    ],
)
def test_names_of_this_machine_are_known(host: str) -> None:
    assert is_loopback(host_name(host))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "128.0.0.1",
        "[::2]",
        "notlocalhost",
        "0.0.0.0",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not is_loopback(host_name(host))


def test_a_star_stands_for_the_names_below_a_name() -> None:
    hosts = parse_hosts("Darkroom.example, *.shop.example")
    assert [is_one_of(name, hosts) for name in ("darkroom.example", "a.shop.example", "shop.example", "x.example")] == [
        *(True, True, False, False)
    ]


@pytest.mark.parametrize("text", ["http://a", "a:80", "a/b", "*", "a b", "a,,b/"])
def test_what_is_no_host_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host names without ports"):
        parse_hosts(text)


def test_origins_are_written_as_browsers_write_them() -> None:
    assert parse_origins("https://Shop.example:443, http://127.0.0.1:3000,http://a:80") == {
        "https://shop.example",
        "http://127.0.0.1:3000",
        "http://a",
    }
    assert parse_origins("off") == parse_origins(" ") == frozenset()
    assert parse_origins("*") == {"*"}


@pytest.mark.parametrize(
    "text",
    [
        "shop.example",
        "https://shop.example/",
        "https://shop.example/a",
        "ftp://a",
        "null",
        "https://*.a",
        "http://a:0",
        "http://a:99999",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be origins like"):
        parse_origins(text)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://127.0.0.1:3000", "127.0.0.1:8080", False),
        ("http://localhost:8080", "127.0.0.1:8080", False),
        ("null", "127.0.0.1:8080", False),
        ("null", "", False),
        ("http://[", "127.0.0.1:8080", False),
    ],
)
def test_a_page_of_the_same_host_and_port_has_the_same_origin(origin: str, host: str, same: bool) -> None:
    assert is_same_origin(origin, host) is same
