"""The collector's configuration, as far as it can be judged without a collector: it hangs together, it agrees with the
Deployment and the network policies, and what it blocks is what must not go on."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from darkroom.contract.api_keys import make_key
from darkroom.manifests.platform.schema.shape import FLAG, TEXT, TEXTS, List, Map, Object, Text, Whole, faults
from tests.manifests.rendering import INSTALLATIONS, MONITORING, Resource, rendered
from tools.monitoring import collector

CONFIGURATION = collector.configuration()
PORTS = {collector.OTLP_GRPC_PORT, collector.OTLP_HTTP_PORT, collector.PROMETHEUS_PORT, collector.HEALTH_PORT}
_VARIABLE = re.compile(r"\$\{env:(\w+)\}")


@pytest.fixture(scope="module")
def resources() -> list[Resource]:
    return rendered(f"{INSTALLATIONS[1]} + {MONITORING}")


def found(resources: list[Resource], kind: str, name: str) -> Resource:
    return next(each for each in resources if each["kind"] == kind and each["metadata"]["name"] == name)


def container(resources: list[Resource]) -> dict[str, Any]:
    return dict(found(resources, "Deployment", "collector")["spec"]["template"]["spec"]["containers"][0])


def test_every_part_is_used_and_every_part_that_is_used_is_there() -> None:
    pipelines = CONFIGURATION["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(CONFIGURATION[kind])
    assert set(CONFIGURATION["service"]["extensions"]) == set(CONFIGURATION["extensions"])


DURATION = Text(pattern=r"^\d+(ms|s|m|h)$")
ENDPOINT = Text(min_length=1)
# A variable stands for a flag too: the collector puts it in before it reads the type.
FLAG_OR_VARIABLE = Text(pattern=r"^(true|false|\$\{env:\w+\})$")
NATURAL = Whole(minimum=0)
PARTS: dict[str, Object] = {
    "receivers/otlp": Object(
        {"protocols": Object({name: Object({"endpoint": ENDPOINT}) for name in ("grpc", "http")})},
        required=("protocols",),
    ),
    "receivers/httpcheck": Object(
        {
            "collection_interval": DURATION,
            "initial_delay": DURATION,
            "timeout": DURATION,
            "targets": List(
                of=Object({"endpoint": ENDPOINT, "endpoints": TEXTS, "method": TEXT, "body": TEXT}), min_items=1
            ),
        },
        required=("targets",),
    ),
    "receivers/redis": Object(
        {
            "endpoint": ENDPOINT,
            "transport": TEXT,
            "username": TEXT,
            "password": TEXT,
            "collection_interval": DURATION,
            "initial_delay": DURATION,
            "timeout": DURATION,
            "tls": Object({"insecure": FLAG_OR_VARIABLE, "ca_file": TEXT, "cert_file": TEXT, "key_file": TEXT}),
            "metrics": Map(Object({"enabled": FLAG}, required=("enabled",))),
        },
        required=("endpoint",),
    ),
    "processors/memory_limiter": Object(
        {
            "check_interval": DURATION,
            "limit_mib": NATURAL,
            "spike_limit_mib": NATURAL,
            "limit_percentage": Whole(minimum=0, maximum=100),
            "spike_limit_percentage": Whole(minimum=0, maximum=100),
        },
        required=("check_interval",),
    ),
    "processors/transform": Object(
        {
            "error_mode": Text(one_of=("ignore", "silent", "propagate")),
            "flatten_data": FLAG,
            **dict.fromkeys(("trace_statements", "metric_statements", "log_statements"), TEXTS),
        }
    ),
    "processors/redaction": Object(
        {
            "allow_all_keys": FLAG,
            "redact_all_types": FLAG,
            "summary": Text(one_of=("debug", "info", "silent")),
            **dict.fromkeys(
                (
                    "allowed_keys",
                    "allowed_values",
                    "blocked_key_patterns",
                    "blocked_values",
                    "ignored_keys",
                    "ignored_key_patterns",
                ),
                TEXTS,
            ),
        }
    ),
    "processors/batch": Object(
        {"timeout": DURATION, "send_batch_size": NATURAL, "send_batch_max_size": NATURAL, "metadata_keys": TEXTS}
    ),
    "exporters/prometheus": Object(
        {
            "endpoint": ENDPOINT,
            "namespace": TEXT,
            "metric_expiration": DURATION,
            "send_timestamps": FLAG,
            "enable_open_metrics": FLAG,
            "without_scope_info": FLAG,
            "translation_strategy": Text(
                one_of=(
                    "UnderscoreEscapingWithSuffixes",
                    "UnderscoreEscapingWithoutSuffixes",
                    "NoUTF8EscapingWithSuffixes",
                    "NoTranslation",
                )
            ),
        },
        required=("endpoint",),
    ),
    "exporters/otlp": Object(
        {
            "endpoint": ENDPOINT,
            "compression": TEXT,
            "timeout": DURATION,
            "tls": Object({"insecure": FLAG_OR_VARIABLE, "ca_file": TEXT, "cert_file": TEXT, "key_file": TEXT}),
            "retry_on_failure": Object(
                {
                    "enabled": FLAG,
                    **dict.fromkeys(("initial_interval", "max_interval", "max_elapsed_time"), DURATION),
                }
            ),
            "sending_queue": Object({"enabled": FLAG, "num_consumers": NATURAL, "queue_size": NATURAL}),
        },
        required=("endpoint",),
    ),
    "extensions/health_check": Object({"endpoint": ENDPOINT, "path": TEXT}),
}
"""The fields that the collector's parts have, from the schemas that they publish (`config.schema.yaml` beside each
part's source, version 0.156): without a collector to run, a slip would show only when its pod does not start."""


def parts(configuration: dict[str, Any]) -> list[tuple[str, Any]]:
    """Each part with the name of its kind: `processors/transform` for `transform/health-check`."""
    return [
        (f"{kind}/{name.partition('/')[0]}", settings)
        for kind in ("receivers", "processors", "exporters", "extensions")
        for name, settings in configuration[kind].items()
    ]


def test_every_part_has_the_fields_that_its_schema_publishes() -> None:
    found = [
        (kind, message) for kind, settings in parts(CONFIGURATION) for _, _, message in faults(settings, PARTS[kind])
    ]
    assert found == []


def test_a_slip_in_a_field_of_the_collector_is_found() -> None:
    wrong = copy.deepcopy(CONFIGURATION)
    wrong["processors"]["redaction"]["block_values"] = wrong["processors"]["redaction"].pop("blocked_values")
    assert [
        message
        for kind, settings in parts(wrong)
        for _, _, message in faults(settings, PARTS[kind])
        if "block" in message
    ]


@pytest.mark.parametrize("signal", ["metrics", "traces"])
def test_memory_is_limited_first_and_secrets_go_before_anything_leaves(signal: str) -> None:
    processors = CONFIGURATION["service"]["pipelines"][signal]["processors"]
    assert processors[0] == "memory_limiter"
    assert processors[-2:] == ["redaction", "batch"]


def test_the_deployment_has_the_ports_and_the_variables(resources: list[Resource]) -> None:
    its = container(resources)
    assert {port["containerPort"] for port in its["ports"]} == PORTS
    wanted = set(_VARIABLE.findall(str(CONFIGURATION)))
    assert wanted <= {variable["name"] for variable in its["env"]}


def test_the_functions_are_told_where_it_is(resources: list[Resource]) -> None:
    settings = found(resources, "ConfigMap", "darkroom-settings")["data"]
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"] == (
        f"http://collector.darkroom.svc.cluster.local:{collector.OTLP_HTTP_PORT}"
    )
    service = next(r for r in resources if r["kind"] == "Service" and r["metadata"]["name"] == "collector")
    assert collector.OTLP_HTTP_PORT in {port["port"] for port in service["spec"]["ports"]}


def test_the_functions_load_no_telemetry_without_the_component() -> None:
    settings = found(rendered(INSTALLATIONS[1]), "ConfigMap", "darkroom-settings")["data"]
    assert not [name for name in settings if name.startswith("OTEL_")]


def test_there_is_one_collector_and_never_two(resources: list[Resource]) -> None:
    spec = found(resources, "Deployment", "collector")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


# --- what must not go on ---------------------------------------------------------------------------------------------


def blocks_value(text: str) -> bool:
    return any(re.search(pattern, text) for pattern in CONFIGURATION["processors"]["redaction"]["blocked_values"])


def blocks_key(name: str) -> bool:
    return any(
        re.fullmatch(pattern, name) for pattern in CONFIGURATION["processors"]["redaction"]["blocked_key_patterns"]
    )


@pytest.mark.parametrize("name", ["http.request.header.authorization", "Set-Cookie", "STORAGE_SECRET_KEY", "x-api-key"])
def test_an_attribute_that_holds_a_secret_is_masked(name: str) -> None:
    assert blocks_key(name)


@pytest.mark.parametrize("name", ["http.route", "job_id", "darkroom.job.attempt", "error.type", "storage.key"])
def test_an_attribute_that_holds_none_is_not(name: str) -> None:
    assert not blocks_key(name)


@pytest.mark.parametrize(
    "text",
    [
        "Bearer abc",
        "GET /processed/1.jpg?X-Amz-Expires=900&X-Amz-Signature=0a1b",
        "redis://resize:hunter2@redis:6379/0",
    ],
)
def test_a_secret_in_a_value_is_masked(text: str) -> None:
    assert blocks_value(text)


def test_a_key_of_ours_is_masked_wherever_it_turns_up() -> None:
    key, _ = make_key("tests")
    assert blocks_value(f"refused {key}")


@pytest.mark.parametrize("text", ["http://minio.darkroom:9000/processed/1.jpg", "redis://redis:6379/0", "resize"])
def test_a_value_that_holds_none_is_not(text: str) -> None:
    assert not blocks_value(text)
