from __future__ import annotations

import urllib.request

import httpx
import pytest

from darkroom.client import AsyncClient, Client
from darkroom.proxies import keep_loopback_direct

PROXY = "http://proxy.example:3128"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
URLS = ("http://127.0.0.1:8080/x", "http://localhost:1/", "http://resize.darkroom.localhost:8080/", "http://[::1]:1/")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", VARIABLES)
def test_loopback_is_added_to_the_exceptions_of_each_proxy_variable(name: str) -> None:
    environment = {name: PROXY}
    keep_loopback_direct(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"] == "127.0.0.1,localhost,.localhost,::1"


def test_exceptions_that_are_there_stay() -> None:
    environment = {"http_proxy": PROXY, "NO_PROXY": "intranet.example, 127.0.0.1", "no_proxy": ".corp"}
    keep_loopback_direct(environment)
    assert environment["no_proxy"] == ".corp,intranet.example,127.0.0.1,localhost,.localhost,::1"
    assert environment["http_proxy"] == PROXY


def test_without_a_proxy_nothing_is_set() -> None:
    environment = {"http_proxy": "", "PATH": "/bin"}
    keep_loopback_direct(environment)
    assert environment == {"http_proxy": "", "PATH": "/bin"}


@pytest.mark.parametrize("name", VARIABLES)
def test_clients_that_read_the_environment_reach_loopback_directly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {name: PROXY}
    keep_loopback_direct(environment)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert urllib.request.proxy_bypass("127.0.0.1:8080")
    with httpx.Client() as client:
        for url in URLS:
            assert client._transport_for_url(httpx.URL(url)) is client._transport, url
        if name.lower() != "https_proxy":
            assert client._transport_for_url(httpx.URL("http://example.com/")) is not client._transport


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("made", [Client, AsyncClient])
def test_the_python_client_needs_no_exceptions_in_the_environment(
    made: type[Client] | type[AsyncClient], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, PROXY)
    http = made("http://127.0.0.1:8080")._http
    for url in URLS:
        assert http._transport_for_url(httpx.URL(url)) is http._transport, url
