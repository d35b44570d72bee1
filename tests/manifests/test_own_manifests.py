"""The YAML that is shipped: that the local runtime takes it, and what must hold between its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from darkroom.contract import events
from darkroom.contract.job_types import BACKGROUND, EVENT_TYPES, JOB_TYPES, NAMES, JobType
from darkroom.events.durations import parse_go
from darkroom.local.eventing.delivery import DeliverySpec, consumer_settings, delivery_of
from darkroom.local.eventing.filters import passes
from darkroom.local.front.routes import RouteTable
from darkroom.local.revisions.binding import bindings
from darkroom.local.revisions.environment import revisions
from darkroom.manifests import Manifests, Trigger, load
from darkroom.manifests.revision import Revision
from tests.manifests.rendering import INSTALLATIONS, OVERLAYS, rendered_text

ROOT = Path(__file__).parents[2]
SECRETS = {"REDIS_URL": "redis://", "STORAGE_ACCESS_KEY": "key", "STORAGE_SECRET_KEY": "secret"}
HEAVY = "-heavy"
"""A Service of the same code, for the hard pictures."""
BACKGROUND_ENDING = "-background"
"""A Service of the same code, for what nobody waits for."""
FUNCTIONS = {"ingest", "status", "recovery", "notify", *NAMES}
RENDERERS = NAMES


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return load([ROOT / "knative" / "base", ROOT / "nats-eventing"])


@pytest.fixture(scope="module")
def by_name(manifests: Manifests) -> dict[str, Revision]:
    return {revision.service: revision for revision in revisions(manifests, settings=SECRETS)}


def trigger_named(manifests: Manifests, name: str) -> Trigger:
    return next(trigger for trigger in manifests.triggers if trigger.name == name)


def delivery_named(manifests: Manifests, name: str) -> DeliverySpec:
    return delivery_of(trigger_named(manifests, name), manifests.brokers[0])


def subscribers(manifests: Manifests, event_type: str, **extensions: str) -> list[str]:
    return [
        trigger.spec.subscriber.ref.name
        for trigger in manifests.triggers
        if trigger.spec.subscriber.ref and passes(trigger.spec, {"type": event_type, **extensions})
    ]


def function_of(service: str) -> str:
    return service.removesuffix(HEAVY).removesuffix(BACKGROUND_ENDING)


def test_every_function_of_the_repository_has_a_service_and_no_other(by_name: dict[str, Revision]) -> None:
    assert {function_of(name) for name in by_name} == FUNCTIONS
    assert {name for name in by_name if name.endswith(HEAVY)} == {f"{name}{HEAVY}" for name in NAMES}
    in_background = {f"{job_type.name}{BACKGROUND_ENDING}" for job_type in JOB_TYPES if job_type.in_background}
    assert {name for name in by_name if name.endswith(BACKGROUND_ENDING)} == in_background
    for service, revision in by_name.items():
        name = function_of(service)
        assert revision.env["FUNCTION_TARGET"] == name
        assert revision.env["FUNCTION_SOURCE"] == f"functions/{name}/main.py"
        assert (ROOT / "functions" / name).is_dir()


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        *((job_type.event_type, [job_type.name]) for job_type in JOB_TYPES),
        (events.EVENT_REJECTED, ["recovery"]),
        (events.JOB_COMPLETED, []),
        (events.WEBHOOK_DUE, []),
        ("dev.knative.sources.ping", []),
    ],
)
def test_each_event_goes_to_the_function_that_the_contract_names(
    manifests: Manifests, event_type: str, expected: list[str]
) -> None:
    assert subscribers(manifests, event_type) == expected


@pytest.mark.parametrize(("function", "event_type"), list(zip(NAMES, EVENT_TYPES, strict=True)))
def test_hard_pictures_go_to_services_of_their_own_and_easy_ones_do_not(
    manifests: Manifests, function: str, event_type: str
) -> None:
    assert subscribers(manifests, event_type, costclass="heavy") == [f"{function}{HEAVY}"]
    assert subscribers(manifests, event_type, costclass="standard") == [function]


@pytest.mark.parametrize("job_type", [one for one in JOB_TYPES if one.in_background], ids=lambda one: one.name)
def test_what_nobody_waits_for_goes_to_a_service_of_its_own_that_yields(
    manifests: Manifests, by_name: dict[str, Revision], job_type: JobType
) -> None:
    service = f"{job_type.name}{BACKGROUND_ENDING}"
    assert subscribers(manifests, job_type.event_type, costclass=BACKGROUND) == [service]
    assert int(by_name[service].env["WORKER_NICENESS"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        *(("POST", job_type.path, "ingest") for job_type in JOB_TYPES),
        ("POST", "/api/v1/uploads", "ingest"),
        ("PUT", "/api/v1/files/uploads/1/original", "ingest"),
        ("OPTIONS", "/api/v1/files/uploads/1/original", "ingest"),
        ("GET", "/api/v1/files/processed/1.jpg", "status"),
        ("POST", "/api/v1/events", "ingest"),
        ("POST", "/", "ingest"),
        ("GET", "/health/live", "ingest"),
        ("GET", "/openapi.json", "ingest"),
        ("GET", "/api/v1/jobs", "status"),
        ("GET", "/api/v1/jobs/7f", "status"),
        ("GET", "/api/v1/jobs/7f/events", "status"),
        ("OPTIONS", "/api/v1/jobs/7f", "status"),
        ("PUT", "/api/v1/jobs/7f", "status"),
        ("DELETE", "/api/v1/jobs/7f", "ingest"),
        ("POST", "/api/v1/jobs/7f/cancel", "ingest"),
        ("GET", "/api/v1/jobsheet", "ingest"),
    ],
)
def test_each_path_of_the_contract_leads_to_its_function(
    manifests: Manifests, method: str, path: str, function: str
) -> None:
    backend = RouteTable(manifests.routes).find(method=method, host="localhost:8080", path=path, headers={})
    assert backend is not None
    assert (backend.namespace, backend.service) == ("darkroom", function)


def test_only_the_front_door_is_visible_outside(by_name: dict[str, Revision]) -> None:
    assert {name for name, revision in by_name.items() if not revision.cluster_local} == {"ingest", "status"}


def test_only_what_emits_of_its_own_accord_has_a_sink(manifests: Manifests) -> None:
    bound = bindings(manifests)
    workers = {f"{name}{ending}" for name in NAMES for ending in ("", "-heavy")} | {"renditions-background"}
    assert {service for _, service in bound} == {"ingest", "recovery"} | workers
    assert {(b.sink.ref.kind, b.sink.ref.name) for b in bound.values() if b.sink.ref} == {("Broker", "darkroom")}


def test_the_sweep_reaches_recovery_without_the_broker(manifests: Manifests) -> None:
    (ping,) = manifests.ping_sources
    assert ping.spec.sink.ref is not None
    assert (ping.spec.sink.ref.kind, ping.spec.sink.ref.name) == ("Service", "recovery")


@pytest.mark.parametrize("name", RENDERERS)
def test_each_time_limit_outlasts_the_one_inside_it(
    manifests: Manifests, by_name: dict[str, Revision], name: str
) -> None:
    channel = manifests.channel(manifests.brokers[0])
    revision, delivery = by_name[name], delivery_named(manifests, name)
    job_timeout_s = parse_go(revision.env["JOB_TIMEOUT"])
    assert delivery.timeout_s is not None
    assert job_timeout_s < revision.timeout_s < delivery.timeout_s <= channel.ack_wait_s
    assert delivery.timeout_s < consumer_settings(delivery, channel).ack_wait_s
    assert "CLOUD_RUN_TIMEOUT_SECONDS" not in revision.env, "JOB_TIMEOUT is the one setting"


@pytest.mark.parametrize("name", RENDERERS)
def test_an_instance_has_a_process_for_each_job_that_it_takes(by_name: dict[str, Revision], name: str) -> None:
    revision = by_name[name]
    assert revision.container_concurrency == int(revision.env["WORKER_CONCURRENCY"])
    assert "WORKERS" not in revision.env, "WORKER_CONCURRENCY is the one setting"
    assert revision.scaling.target_utilization == 1.0
    assert revision.scaling.min_scale == 0


@pytest.mark.parametrize("name", RENDERERS)
def test_twice_of_what_a_function_takes_may_be_in_flight(
    manifests: Manifests, by_name: dict[str, Revision], name: str
) -> None:
    revision = by_name[name]
    capacity = revision.scaling.max_scale * revision.container_concurrency
    assert manifests.channel(manifests.brokers[0]).max_ack_pending == 2 * capacity
    assert revision.env["BROKER_WINDOW"] == str(2 * capacity)


def test_every_delivery_block_is_complete_and_ends_at_recovery(manifests: Manifests) -> None:
    for trigger in manifests.triggers:
        delivery = delivery_named(manifests, trigger.name)
        assert (delivery.retry, delivery.backoff_policy, delivery.backoff_delay_s) == (3, "exponential", 1.0)
        assert delivery.dead_letter_sink is not None
        assert delivery.dead_letter_sink.ref is not None
        assert delivery.dead_letter_sink.ref.name == "recovery"


def test_the_stream_loses_nothing_that_was_accepted_and_does_not_grow_for_ever(manifests: Manifests) -> None:
    channel = manifests.channel(manifests.brokers[0])
    assert (channel.retention, channel.discard, channel.deliver_policy) == ("Interest", "New", "New")
    assert channel.max_age_s == 168 * 3600
    assert channel.duplicate_window_s == 120.0


def test_every_container_is_restricted_and_its_image_pinned(manifests: Manifests) -> None:
    for service in manifests.services:
        spec = service.spec.template.spec
        security = spec.container.security_context
        assert security is not None
        assert security.run_as_non_root
        assert security.read_only_root_filesystem
        assert security.allow_privilege_escalation is False
        assert security.capabilities is not None
        assert security.capabilities.drop == ["ALL"]
        assert security.seccomp_profile is not None
        assert security.seccomp_profile.type == "RuntimeDefault"
        assert spec.automount_service_account_token is False
        assert re.fullmatch(rf"dev\.local/darkroom/{function_of(service.name)}:\d+\.\d+\.\d+", spec.container.image)


def test_every_resource_bears_the_labels_that_tell_what_it_is_part_of(manifests: Manifests) -> None:
    for file in manifests.files:
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] != "Kustomization":
                labels = document["metadata"]["labels"]
                assert labels["app.kubernetes.io/part-of"] == "darkroom", file
                assert labels["app.kubernetes.io/name"] == document["metadata"]["name"], file


@pytest.mark.parametrize("name", ["ingest", "status"])
def test_the_front_door_asks_for_keys_from_a_mounted_secret(manifests: Manifests, name: str) -> None:
    [service] = [service for service in manifests.services if service.name == name]
    spec = service.spec.template.spec
    config_map = manifests.config_map("darkroom", "darkroom-settings")
    assert config_map is not None
    assert config_map.data["API_KEYS"] == "on"
    [mount] = [mount for mount in spec.container.volume_mounts if mount.name == "api-keys"]
    assert config_map.data["API_KEYS_FILE"].startswith(f"{mount.mount_path}/")
    assert mount.read_only
    [volume] = [volume for volume in spec.volumes if volume.name == "api-keys"]
    assert volume.secret is not None
    assert volume.secret.secret_name == "darkroom-api-keys"


@pytest.mark.parametrize("event_type", [events.JOB_COMPLETED, events.JOB_FAILED, events.WEBHOOK_DUE])
def test_an_end_goes_to_notify_only_if_somebody_is_told_of_it(manifests: Manifests, event_type: str) -> None:
    assert subscribers(manifests, event_type, webhooks="we_0123456789ab,we_0123456789ac") == ["notify"]
    assert subscribers(manifests, event_type) == []
    assert subscribers(manifests, "dev.darkroom.resize.requested", webhooks="we_0123456789ab") == ["resize"]


def test_notify_alone_has_the_secrets_of_webhooks(manifests: Manifests) -> None:
    mounted = {
        service.name: {volume.secret.secret_name for volume in service.spec.template.spec.volumes if volume.secret}
        for service in manifests.services
    }
    having = {name for name, secrets in mounted.items() if "darkroom-webhook-secrets" in secrets}
    assert having == {"notify"}
    assert {name for name, secrets in mounted.items() if "darkroom-webhooks" in secrets} == {"ingest", "notify"}
    config_map = manifests.config_map("darkroom", "darkroom-settings")
    assert config_map is not None
    for name, setting in (("webhooks", "WEBHOOKS_FILE"), ("webhook-secrets", "WEBHOOK_SECRETS_FILE")):
        [notify] = [service for service in manifests.services if service.name == "notify"]
        [mount] = [one for one in notify.spec.template.spec.container.volume_mounts if one.name == name]
        assert config_map.data[setting].startswith(f"{mount.mount_path}/")


def test_this_machines_settings_turn_the_keys_off(manifests: Manifests) -> None:
    off = {**SECRETS, "API_KEYS": "off", "API_KEYS_FILE": "", "RATE_LIMIT": "off"}
    [ingest] = [one for one in revisions(manifests, settings=off) if one.service == "ingest"]
    assert (ingest.env["API_KEYS"], ingest.env["RATE_LIMIT"]) == ("off", "off")
    assert ingest.env["FORWARDED_ALLOW_IPS"] == "", "gunicorn believes nobody, TRUSTED_PROXIES decides"


def test_no_file_holds_a_secret(manifests: Manifests) -> None:
    for file in manifests.files:
        assert "kind: Secret\n" not in file.read_text()
    for service in manifests.services:
        for variable in service.spec.template.spec.container.env:
            assert variable.value is None or variable.name not in SECRETS


def test_every_yaml_file_is_listed_in_its_kustomization(manifests: Manifests) -> None:
    present = {file for room in ("knative/base", "nats-eventing") for file in (ROOT / room).glob("*.yaml")}
    assert present == set(manifests.files)


@pytest.mark.parametrize("name", [*OVERLAYS, *INSTALLATIONS])
def test_what_a_cluster_gets_runs_here_too_but_for_what_is_named(
    manifests: Manifests, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "rendered.yaml"
    file.write_text(rendered_text(name))
    whole = load([file])
    for of in ("services", "triggers", "brokers", "ping_sources", "sink_bindings", "routes"):
        assert {each.name for each in getattr(whole, of)} == {each.name for each in getattr(manifests, of)}, of
    knatives = {"Service", "Trigger", "Broker", "PingSource", "SinkBinding", "HTTPRoute"}
    assert [each for each in whole.left_out if each.kind in knatives and each.kind != "Service"] == []
    assert all(each.reason for each in whole.left_out)
