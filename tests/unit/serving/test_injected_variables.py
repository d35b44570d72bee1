"""Every variable that Knative injects is accepted as the platform sets it: absent, empty and present are all normal."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import SettingsError
from darkroom.events.cloudevents import new_event
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings

EVENT = new_event("dev.darkroom.test", "/test", {})


def settings(**variables: str) -> Settings:
    return Settings.load(needs=frozenset(), environment=variables)


@pytest.mark.parametrize("variables", [{}, {"K_SERVICE": ""}], ids=["absent", "empty"])
def test_without_a_service_name_a_function_has_the_projects(variables: dict[str, str]) -> None:
    assert settings(**variables).service == "darkroom"


def test_the_service_is_the_one_that_knative_names() -> None:
    assert settings(K_SERVICE="ingest").service == "ingest"


@pytest.mark.parametrize("variables", [{}, {"K_SINK": ""}], ids=["absent", "empty"])
def test_without_a_sink_a_function_is_built_and_says_what_it_waits_for(variables: dict[str, str]) -> None:
    resources = Resources(settings(**variables))

    for call in (resources.check_sink, lambda: resources.emitter.emit(EVENT)):
        with pytest.raises(DependencyUnavailableError, match="waits for a SinkBinding to inject it"):
            call()


def test_the_log_says_once_what_a_function_waits_for_however_often_it_is_probed() -> None:
    resources = Resources(settings())
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(DependencyUnavailableError):
                resources.check_sink()

    assert [(line["event"], line["waiting_for"]) for line in lines] == [("startup.waiting", "K_SINK")]


def test_with_a_sink_nothing_is_waited_for() -> None:
    resources = Resources(settings(K_SINK="http://broker-ingress.knative-eventing.svc.cluster.local/shop/orders"))
    resources.check_sink()


@pytest.mark.parametrize("url", ["broker", "ftp://broker/", "http://", "http:// broker/", "{}"])
def test_a_sink_that_is_no_http_address_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^K_SINK: must be an http or https URL, was "):
        settings(K_SINK=url)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"K_CE_OVERRIDES": ""},
        {"K_CE_OVERRIDES": " \n"},
        {"K_CE_OVERRIDES": "{}"},
        {"K_CE_OVERRIDES": '{"extensions": null}'},
        {"K_CE_OVERRIDES": '{"extensions": {}}'},
    ],
    ids=lambda variables: variables.get("K_CE_OVERRIDES", "absent") or "empty",
)
def test_overrides_that_override_nothing_are_none(variables: dict[str, str]) -> None:
    assert settings(**variables).ce_overrides == {}


def test_overrides_are_the_extensions_that_a_sinkbinding_has() -> None:
    assert settings(K_CE_OVERRIDES='{"extensions": {"region": "eu"}}').ce_overrides == {"region": "eu"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no", "must be JSON"),
        ("[]", "must be a JSON object, was list"),
        ("null", "must be a JSON object, was null"),
        ('{"extensions": 3}', "dictionary"),
        ('{"extensions": {"Region": "eu"}}', "pattern"),
        ('{"extensions": {"region": 3}}', "string"),
    ],
)
def test_overrides_that_are_wrong_are_named(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"K_CE_OVERRIDES.*{message}"):
        settings(K_CE_OVERRIDES=text)
