from __future__ import annotations

import pytest
from pydantic import ValidationError

from darkroom.local.eventing.destinations import (
    ChannelTarget,
    IngressTarget,
    ServiceTarget,
    Target,
    UrlTarget,
    cluster_url,
    locate,
)
from darkroom.manifests import Destination

SERVICES = {("a", "same"), ("b", "same")}
INGRESS = "http://broker-ingress.knative-eventing.svc.cluster.local"


def destination(kind: str, uri: str | None = None) -> Destination:
    group = "serving" if kind == "Service" else "eventing"
    reference = {"apiVersion": f"{group}.knative.dev/v1", "kind": kind, "name": "same", "namespace": "a"}
    return Destination.model_validate({"ref": reference, **({} if uri is None else {"uri": uri})})


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        (None, ""),
        ("/inbox", "/inbox"),
        ("inbox", "/inbox"),
        ("./inbox", "/inbox"),
        ("/a/../inbox", "/inbox"),
        ("/a%2Fb?q=%20x&y", "/a%2Fb?q=%20x&y"),
        ("?q=1", "?q=1"),
        ("/inbox/", "/inbox/"),
    ],
)
def test_a_uri_is_resolved_against_the_services_url(uri: str | None, url: str) -> None:
    assert cluster_url(destination("Service", uri)) == f"http://same.a.svc.cluster.local{url}"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (None, "/a/same"),
        ("other", "/a/other"),
        ("/b/other", "/b/other"),
        ("../b/other", "/b/other"),
        ("?x", "/a/same?x"),
    ],
)
def test_a_uri_is_resolved_against_the_brokers_url_which_has_a_path(uri: str | None, path: str) -> None:
    assert cluster_url(destination("Broker", uri)) == INGRESS + path


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://same.a.svc.cluster.local", ServiceTarget(service=("a", "same"), path="/")),
        ("http://SAME.b.svc/x?y=1#z", ServiceTarget(service=("b", "same"), path="/x?y=1")),
        ("http://same.a.svc.cluster.local:80/x", ServiceTarget(service=("a", "same"), path="/x")),
        ("http://same.c.svc.cluster.local/", UrlTarget(url="http://same.c.svc.cluster.local/")),
        ("http://same.a.svc.cluster.local:9000/", UrlTarget(url="http://same.a.svc.cluster.local:9000/")),
        ("https://same.a.svc.cluster.local/", UrlTarget(url="https://same.a.svc.cluster.local/")),
        ("http://same.a.example/", UrlTarget(url="http://same.a.example/")),
        (f"{INGRESS}/a/same", IngressTarget(path="/a/same")),
        ("http://broker-ingress.knative-eventing.svc/a/same/", IngressTarget(path="/a/same/")),
        ("http://orders-kn-channel.a.svc.cluster.local", ChannelTarget(channel=("a", "orders"), path="/")),
        ("http://orders-kn-jsm-channel.a.svc/x", ChannelTarget(channel=("a", "orders"), path="/x")),
        ("https://orders-kn-channel.a.svc/", UrlTarget(url="https://orders-kn-channel.a.svc/")),
    ],
)
def test_the_clusters_own_names_are_known_without_a_resolver(url: str, target: Target) -> None:
    assert locate(url, SERVICES) == target


@pytest.mark.parametrize(
    ("path", "broker"),
    [("/a/b", ("a", "b")), ("/a/b/", ("a", "b")), ("/a/b?x", ("a", "b")), ("/inbox", None), ("/", None)],
)
def test_the_ingress_knows_a_broker_by_a_path_of_two_parts(path: str, broker: tuple[str, str] | None) -> None:
    assert IngressTarget(path=path).broker == broker


@pytest.mark.parametrize("uri", ["http://other.example/x", "mailto:x"])
def test_an_absolute_uri_beside_a_ref_is_refused(uri: str) -> None:
    with pytest.raises(ValidationError, match="beside a ref, uri must be relative to it"):
        destination("Service", uri)


@pytest.mark.parametrize(
    ("version", "kind", "host"),
    [
        ("messaging.knative.dev/v1", "Channel", "same-kn-channel"),
        ("messaging.knative.dev/v1", "InMemoryChannel", "same-kn-channel"),
        ("messaging.knative.dev/v1alpha1", "NatsJetStreamChannel", "same-kn-jsm-channel"),
        ("flows.knative.dev/v1", "Sequence", "same-kn-sequence-0-kn-channel"),
        ("flows.knative.dev/v1", "Parallel", "same-kn-parallel-kn-channel"),
    ],
)
def test_channels_and_flows_have_the_hosts_that_they_have_on_a_cluster(version: str, kind: str, host: str) -> None:
    reference = {"apiVersion": version, "kind": kind, "name": "same", "namespace": "a"}
    url = cluster_url(Destination.model_validate({"ref": reference}))
    assert url == f"http://{host}.a.svc.cluster.local"
    assert isinstance(locate(url, SERVICES), ChannelTarget)
