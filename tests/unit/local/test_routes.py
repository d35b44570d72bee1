from __future__ import annotations

from typing import Any

import pytest

from darkroom.local.front.routes import Backend, RouteTable
from darkroom.manifests import HTTPRoute


def rule(service: str, *matches: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"matches": list(matches), "backendRefs": [{"name": service, "port": 80}], **fields}


def prefix(value: str, **fields: Any) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": value}, **fields}


def exact(value: str, **fields: Any) -> dict[str, Any]:
    return {"path": {"type": "Exact", "value": value}, **fields}


def route(*rules: dict[str, Any], hostnames: list[str] | None = None) -> HTTPRoute:
    return HTTPRoute.model_validate(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "r", "namespace": "n"},
            "spec": {"hostnames": hostnames or [], "rules": list(rules)},
        }
    )


def found(
    *routes: HTTPRoute,
    path: str = "/",
    method: str = "GET",
    host: str = "localhost:8080",
    headers: dict[str, str] | None = None,
) -> str | None:
    backend = RouteTable(routes).find(method=method, host=host, path=path, headers=headers or {})
    return None if backend is None else backend.service


@pytest.mark.parametrize(
    ("path", "takes"),
    [("/api", True), ("/api/", True), ("/api/v1", True), ("/apis", False), ("/", False), ("/API", False)],
)
@pytest.mark.parametrize("value", ["/api", "/api/"])
def test_a_prefix_matches_whole_path_elements(value: str, path: str, takes: bool) -> None:
    assert (found(route(rule("a", prefix(value))), path=path) == "a") is takes


def test_an_exact_path_matches_itself_only() -> None:
    table = route(rule("a", exact("/api")))
    assert found(table, path="/api") == "a"
    assert found(table, path="/api/") is None
    assert found(table, path="/api/v1") is None


def test_a_rule_without_matches_takes_everything() -> None:
    assert found(route(rule("a")), path="/anything", method="DELETE") == "a"


def test_an_exact_path_wins_over_a_longer_prefix_and_a_longer_prefix_over_a_shorter_one() -> None:
    table = route(rule("root", prefix("/")), rule("long", prefix("/api/v1/jobs")), rule("exact", exact("/api")))
    assert found(table, path="/api") == "exact"
    assert found(table, path="/api/v1/jobs/7") == "long"
    assert found(table, path="/api/v1") == "root"
    assert (
        found(route(rule("prefix", prefix("/api", method="GET")), rule("exact", exact("/api"))), path="/api") == "exact"
    )


def test_of_equal_paths_a_method_decides_then_the_number_of_headers_then_the_order() -> None:
    header = {"name": "X-Mode", "value": "fast"}
    table = route(
        rule("first", prefix("/a")),
        rule("second", prefix("/a")),
        rule("header", prefix("/a", headers=[header])),
        rule("two-headers", prefix("/a", headers=[header, {"name": "x-more", "value": "1"}])),
        rule("method", prefix("/a", method="POST")),
    )
    assert found(table, path="/a") == "first"
    assert found(table, path="/a", headers={"x-mode": "fast"}) == "header"
    assert found(table, path="/a", headers={"x-mode": "fast", "x-more": "1"}) == "two-headers"
    assert found(table, path="/a", headers={"x-mode": "slow"}) == "first"
    assert found(table, path="/a", method="POST", headers={"x-mode": "fast"}) == "method"


def test_a_longer_prefix_wins_over_a_method() -> None:
    table = route(rule("method", prefix("/", method="GET")), rule("long", prefix("/a")))
    assert found(table, path="/a/b") == "long"


def test_one_of_several_matches_of_a_rule_is_enough() -> None:
    table = route(rule("a", exact("/one"), exact("/two")))
    assert found(table, path="/one") == "a"
    assert found(table, path="/two") == "a"
    assert found(table, path="/three") is None


def test_the_most_specific_host_name_wins() -> None:
    routes = (
        route(rule("any")),
        route(rule("wide"), hostnames=["*.com"]),
        route(rule("narrow"), hostnames=["*.example.com"]),
        route(rule("exact"), hostnames=["a.example.com"]),
    )
    assert found(*routes, host="A.example.com:8443") == "exact"
    assert found(*routes, host="b.c.example.com") == "narrow"
    assert found(*routes, host="example.com") == "wide"
    assert found(*routes, host="[::1]:8080") == "any"


def test_a_host_name_that_no_route_has_finds_nothing() -> None:
    assert found(route(rule("a"), hostnames=["darkroom.example.com"]), host="localhost") is None


def test_a_rewritten_host_name_tells_the_service_where_the_backend_is_the_ingress() -> None:
    rewrite = {"type": "URLRewrite", "urlRewrite": {"hostname": "ingest.darkroom.svc.cluster.local"}}
    table = RouteTable([route(rule("kourier-internal", filters=[rewrite]))])
    assert table.find(method="GET", host="h", path="/", headers={}) == Backend(
        namespace="darkroom", service="ingest", port=80, hostname="ingest.darkroom.svc.cluster.local"
    )


@pytest.mark.parametrize(
    ("timeouts", "timeout_s"),
    [
        (None, None),
        ({}, None),
        ({"request": "130s"}, 130),
        ({"backendRequest": "500ms"}, 0.5),
        ({"request": "10s", "backendRequest": "2s"}, 2),
        ({"request": "0s"}, None),
        ({"request": "0s", "backendRequest": "2s"}, 2),
    ],
)
def test_the_shorter_timeout_of_a_rule_counts_and_zero_is_none(
    timeouts: dict[str, str] | None, timeout_s: float | None
) -> None:
    backend = RouteTable([route(rule("a", timeouts=timeouts))]).find(method="GET", host="h", path="/", headers={})
    assert backend is not None
    assert backend.timeout_s == timeout_s
