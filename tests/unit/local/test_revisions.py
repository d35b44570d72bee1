from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.local.revisions.binding import bindings
from darkroom.local.revisions.environment import LocalSecrets, revisions
from darkroom.manifests import ManifestError, Manifests, load
from darkroom.manifests.revision import ScalingConfig

SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: resize, namespace: n, labels: {{networking.knative.dev/visibility: cluster-local}}}}
spec:
  template:
    metadata: {{annotations: {annotations}}}
    spec:
      containerConcurrency: {concurrency}
      timeoutSeconds: 90
      containers:
        - image: dev.local/resize:1
          env:
            - {{name: FUNCTION_TARGET, value: resize}}
            - {{name: FUNCTION_SOURCE, value: functions/resize/main.py}}
            {env}
          envFrom:
            - configMapRef: {{name: settings}}
            - configMapRef: {{name: more}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: n}}
data: {{BUCKET_NAME: pictures, STORAGE_ENDPOINT: "http://minio", FUNCTION_TARGET: from-the-map, LEVEL: first}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: more, namespace: n}}
data: {{LEVEL: second}}
"""


def service(
    tmp_path: Path, *, env: str = "", annotations: str = "{}", concurrency: int = 0, more: str = ""
) -> Manifests:
    file = tmp_path / "service.yaml"
    file.write_text(SERVICE.format(env=env, annotations=annotations, concurrency=concurrency) + more)
    return load([file])


def env_of(manifests: Manifests, settings: dict[str, str] | None = None) -> dict[str, str]:
    return dict(revisions(manifests, settings=settings or {})[0].env)


def scaling_of(tmp_path: Path, annotations: str, concurrency: int) -> ScalingConfig:
    manifests = service(tmp_path, annotations=annotations, concurrency=concurrency)
    return revisions(manifests, settings={})[0].scaling


SECRET = "- {name: REDIS_URL, valueFrom: {secretKeyRef: {name: secrets, key: REDIS_URL}}}"


def test_a_revision_has_its_services_name_timeout_and_visibility(tmp_path: Path) -> None:
    (revision,) = revisions(service(tmp_path), settings={}, number=3)
    assert (revision.namespace, revision.service, revision.name) == ("n", "resize", "resize-00003")
    assert (revision.timeout_s, revision.cluster_local) == (90.0, True)


def test_env_wins_over_config_maps_and_a_later_config_map_over_an_earlier_one(tmp_path: Path) -> None:
    env = env_of(service(tmp_path))
    assert (env["FUNCTION_TARGET"], env["BUCKET_NAME"], env["LEVEL"]) == ("resize", "pictures", "second")


def test_settings_take_the_place_of_what_config_maps_say_but_not_of_what_the_service_says(tmp_path: Path) -> None:
    env = env_of(service(tmp_path), {"STORAGE_ENDPOINT": "http://127.0.0.1:9", "FUNCTION_TARGET": "x", "OTHER": "y"})
    assert env["STORAGE_ENDPOINT"] == "http://127.0.0.1:9"
    assert env["FUNCTION_TARGET"] == "resize"
    assert "OTHER" not in env


def test_settings_are_the_secrets(tmp_path: Path) -> None:
    assert env_of(service(tmp_path, env=SECRET), {"REDIS_URL": "redis://127.0.0.1"})["REDIS_URL"] == "redis://127.0.0.1"


def test_a_missing_secret_is_named_with_variable_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="REDIS_URL comes from the Secret 'secrets'") as caught:
        revisions(service(tmp_path, env=SECRET), settings={})
    (finding,) = caught.value.findings
    assert (finding.file, finding.line) == (tmp_path / "service.yaml", 15)


def test_an_optional_secret_may_be_missing(tmp_path: Path) -> None:
    optional = SECRET.replace("key: REDIS_URL", "key: REDIS_URL, optional: true")
    assert "REDIS_URL" not in env_of(service(tmp_path, env=optional))


def test_a_variable_may_come_from_one_key_of_a_config_map(tmp_path: Path) -> None:
    reference = "- {name: PLACE, valueFrom: {configMapKeyRef: {name: settings, key: BUCKET_NAME}}}"
    assert env_of(service(tmp_path, env=reference))["PLACE"] == "pictures"
    missing = reference.replace("key: BUCKET_NAME", "key: BUCKET")
    with pytest.raises(ManifestError, match="the ConfigMap 'settings' has no key 'BUCKET'"):
        env_of(service(tmp_path, env=missing))


def test_a_value_may_refer_to_variables_before_it(tmp_path: Path) -> None:
    env = env_of(service(tmp_path, env='- {name: ALL, value: "$(BUCKET_NAME)/$(UNKNOWN)/$$(BUCKET_NAME)"}'))
    assert env["ALL"] == "pictures/$(UNKNOWN)/$(BUCKET_NAME)"


def test_a_revision_has_what_starts_its_container(tmp_path: Path) -> None:
    container = """          command: [node, server.js]
          args: [--verbose]
          workingDir: /app
"""
    file = tmp_path / "service.yaml"
    text = SERVICE.format(env="", annotations="{}", concurrency=0)
    file.write_text(text.replace("          envFrom:\n", f"{container}          envFrom:\n"))
    (revision,) = revisions(load([file]), settings={})
    assert revision.image == "dev.local/resize:1"
    assert (revision.command, revision.args, revision.working_dir) == (("node", "server.js"), ("--verbose",), "/app")


def test_the_projects_file_of_secrets_gives_values_by_variable_or_by_key(tmp_path: Path) -> None:
    reference = "- {name: ORDERS_URL, valueFrom: {secretKeyRef: {name: secrets, key: REDIS_URL}}}"
    manifests = service(tmp_path, env=reference)

    def value(**values: str) -> str:
        return revisions(manifests, settings={}, secrets=LocalSecrets(values=values))[0].env["ORDERS_URL"]

    assert value(REDIS_URL="by-key") == "by-key"
    assert value(REDIS_URL="by-key", ORDERS_URL="by-name") == "by-name"


def test_a_secret_without_a_value_is_named_with_the_place_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as refused:
        revisions(service(tmp_path, env=SECRET), settings={}, secrets=LocalSecrets(file="secrets.env"))
    assert "which has no value here; put REDIS_URL=... into secrets.env" in str(refused.value)


@pytest.mark.parametrize(
    ("target", "concurrency", "expected"),
    [(None, 0, 100.0), (None, 2, 2.0), ("5", 0, 5.0), ("5", 2, 2.0), ("1.5", 2, 1.5)],
)
def test_the_target_is_never_above_the_concurrency(
    tmp_path: Path, target: str | None, concurrency: int, expected: float
) -> None:
    annotations = "{}" if target is None else f'{{autoscaling.knative.dev/target: "{target}"}}'
    scaling = scaling_of(tmp_path, annotations, concurrency)
    assert (scaling.target, scaling.container_concurrency) == (expected, concurrency)


def test_every_annotation_reaches_the_autoscaler(tmp_path: Path) -> None:
    prefix = "autoscaling.knative.dev"
    texts = {
        "min-scale": "1",
        "max-scale": "9",
        "initial-scale": "2",
        "activation-scale": "3",
        "target-utilization-percentage": "80",
        "window": "40s",
        "panic-window-percentage": "20",
        "panic-threshold-percentage": "150",
        "scale-down-delay": "1m",
        "scale-to-zero-pod-retention-period": "45s",
    }
    annotations = "{" + ", ".join(f'{prefix}/{name}: "{text}"' for name, text in texts.items()) + "}"
    assert scaling_of(tmp_path, annotations, 4) == ScalingConfig(
        min_scale=1,
        max_scale=9,
        initial_scale=2,
        activation_scale=3,
        target=4.0,
        target_utilization=0.8,
        container_concurrency=4,
        window_s=40.0,
        panic_window_percentage=20.0,
        panic_threshold_percentage=150.0,
        scale_down_delay_s=60.0,
        retention_s=45.0,
    )


def test_a_sink_binding_resolves_to_a_destination_with_its_namespace(tmp_path: Path) -> None:
    binding = """---
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: binding, namespace: n}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}
  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}, uri: /events}
"""
    destination = bindings(service(tmp_path, more=binding))["n", "resize"].sink
    assert destination.ref is not None
    assert (destination.ref.kind, destination.ref.namespace, destination.ref.name) == ("Service", "n", "resize")
    assert destination.uri == "/events"
