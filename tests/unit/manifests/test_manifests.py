"""Strict loading: what is accepted, what is refused, and where an error points."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml

from darkroom.manifests import Finding, ManifestError, Manifests, load

PIPELINE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: n}
data:
  NATS_URL: nats://nats
---
apiVersion: v1
kind: ConfigMap
metadata: {name: channel, namespace: n}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream:
        config:
          retention: Interest
          maxAge: 168h
      consumerConfigTemplate:
        deliverPolicy: New
        ackWait: 120s
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: broker
  namespace: n
  annotations:
    eventing.knative.dev/broker.class: MTChannelBasedBroker
spec:
  config: {apiVersion: v1, kind: ConfigMap, name: channel}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: resize
  namespace: n
  labels:
    networking.knative.dev/visibility: cluster-local
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/min-scale: "0"
        autoscaling.knative.dev/max-scale: "10"
        autoscaling.knative.dev/window: 30s
    spec:
      containerConcurrency: 2
      timeoutSeconds: 90
      containers:
        - name: function
          image: dev.local/resize:1
          env:
            - name: FUNCTION_TARGET
              value: resize
            - name: REDIS_URL
              valueFrom:
                secretKeyRef: {name: secrets, key: REDIS_URL}
          envFrom:
            - configMapRef:
                name: settings
          readinessProbe:
            successThreshold: 1
          resources:
            requests: {memory: 1Gi}
            limits: {memory: 2Gi}
          securityContext:
            runAsNonRoot: true
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {medium: Memory}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: resize, namespace: n}
spec:
  broker: broker
  filters:
    - exact:
        type: dev.example.requested
  subscriber:
    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}
  delivery:
    retry: 3
    backoffPolicy: exponential
    backoffDelay: PT1S
    timeout: PT110S
    deadLetterSink:
      ref:
        apiVersion: serving.knative.dev/v1
        kind: Service
        name: resize
---
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {name: sweep, namespace: n}
spec:
  schedule: "*/15 * * * * *"
  data: "{}"
  sink:
    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}
---
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: resize, namespace: n}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}
  sink:
    ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: broker}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, namespace: n}
spec:
  rules:
    - matches:
        - method: GET
          path: {type: PathPrefix, value: /}
      backendRefs:
        - name: resize
          port: 80
---
apiVersion: v1
kind: Namespace
metadata: {name: n}
"""


def load_text(tmp_path: Path, text: str) -> Manifests:
    file = tmp_path / "all.yaml"
    file.write_text(text)
    return load([file])


def findings(tmp_path: Path, text: str) -> tuple[Finding, ...]:
    with pytest.raises(ManifestError) as caught:
        load_text(tmp_path, text)
    return caught.value.findings


def changed(old: str, new: str) -> str:
    if PIPELINE.count(old) != 1:
        raise LookupError(f"{old!r} is {PIPELINE.count(old)} times in the pipeline")
    return PIPELINE.replace(old, new)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_complete_pipeline_is_loaded_with_everything_in_it(tmp_path: Path) -> None:
    manifests = load_text(tmp_path, PIPELINE)
    assert [service.name for service in manifests.services] == ["resize"]
    assert manifests.services[0].cluster_local
    assert manifests.services[0].spec.template.scaling.max_scale == 10
    assert [ping.spec.schedule for ping in manifests.ping_sources] == ["*/15 * * * * *"]
    assert [route.name for route in manifests.routes] == ["route"]
    broker = manifests.brokers[0]
    assert [trigger.name for trigger in manifests.triggers_of(broker)] == ["resize"]
    channel = manifests.channel(broker)
    assert (channel.retention, channel.max_age_s, channel.ack_wait_s) == ("Interest", 604800.0, 120.0)
    assert manifests.files == (tmp_path / "all.yaml",)


# --- one fault, one finding: the field, its line and the message -----------------------------------------------------

CONTAINER = "spec.template.spec.containers[0]"
ANNOTATIONS = 'spec.template.metadata.annotations["autoscaling.knative.dev'

FAULTS = {
    # unknown names
    "a kind": ("kind: Trigger\n", "kind: Triger\n", "kind", 'did you mean "Trigger"?'),
    "a field": ("retry: 3", "retries: 3", "spec.delivery.retries", 'unknown field; did you mean "retry"?'),
    "a field in lower case": (
        "containerConcurrency: 2",
        "containerconcurrency: 2",
        "spec.template.spec.containerconcurrency",
        'did you mean "containerConcurrency"?',
    ),
    "an annotation": (
        'autoscaling.knative.dev/min-scale: "0"',
        'autoscaling.knative.dev/minscale: "0"',
        f'{ANNOTATIONS}/minscale"]',
        'unknown annotation; did you mean "autoscaling.knative.dev/min-scale"?',
    ),
    "a label of Knative's": (
        "networking.knative.dev/visibility: cluster-local",
        "networking.knative.dev/visiblity: cluster-local",
        'metadata.labels["networking.knative.dev/visiblity"]',
        'did you mean "networking.knative.dev/visibility"?',
    ),
    "a backoff policy": ("exponential", "exponental", "spec.delivery.backoffPolicy", 'did you mean "exponential"?'),
    # types and values
    "a number where text must be": (
        'min-scale: "0"',
        "min-scale: 0",
        f'{ANNOTATIONS}/min-scale"]',
        "must be a string, was 0; put it in quotes",
    ),
    "text where a number must be": ("retry: 3", 'retry: "3"', "spec.delivery.retry", "was '3'"),
    "a name": ("name: sweep", "name: Sweep", "metadata.name", "must be a DNS subdomain"),
    "a Go duration": ("window: 30s", "window: PT30S", f'{ANNOTATIONS}/window"]', "must be a Go duration"),
    "an ISO duration": ("PT1S", "1s", "spec.delivery.backoffDelay", "must be an ISO 8601 duration"),
    "a schedule": ('"*/15 * * * * *"', '"every day"', "spec.schedule", "must be a cron expression"),
    # what Serving's webhook refuses
    "PORT": ("name: FUNCTION_TARGET", "name: PORT", f"{CONTAINER}.env[0].name", "PORT is reserved"),
    "min above max": (
        'min-scale: "0"',
        'min-scale: "11"',
        f'{ANNOTATIONS}/max-scale"]',
        "must not be below autoscaling.knative.dev/min-scale, which is 11, was 10",
    ),
    "too short a window": ("window: 30s", "window: 5s", f'{ANNOTATIONS}/window"]', "must be from 6s to 1h, was 5s"),
    "too long a window": ("window: 30s", "window: 61m", f'{ANNOTATIONS}/window"]', "must be from 6s to 1h, was 61m"),
    "half seconds": ("window: 30s", "window: 6.5s", f'{ANNOTATIONS}/window"]', "must be in whole seconds, was 6.5s"),
    "a utilisation": (
        "window: 30s",
        'target-utilization-percentage: "101"',
        f'{ANNOTATIONS}/target-utilization-percentage"]',
        "must be from 1 to 100, was 101",
    ),
    "a panic window": (
        "window: 30s",
        'panic-window-percentage: "0.5"',
        f'{ANNOTATIONS}/panic-window-percentage"]',
        "must be from 1 to 100, was 0.5",
    ),
    "a panic threshold": (
        "window: 30s",
        'panic-threshold-percentage: "100"',
        f'{ANNOTATIONS}/panic-threshold-percentage"]',
        "must be from 110 to 1000, was 100",
    ),
    "a target": ("window: 30s", 'target: "0"', f'{ANNOTATIONS}/target"]', "must be at least 0.01, was 0"),
    "a burst capacity": (
        "window: 30s",
        'target-burst-capacity: "-2"',
        f'{ANNOTATIONS}/target-burst-capacity"]',
        "must be -1 or at least 0, was -2",
    ),
    "not a number": ('max-scale: "10"', 'max-scale: "ten"', f'{ANNOTATIONS}/max-scale"]', "must be a whole number"),
    "too long a timeout": (
        "timeoutSeconds: 90",
        "timeoutSeconds: 601",
        "spec.template.spec.timeoutSeconds",
        "less than or equal to 600, was 601",
    ),
    "too great a concurrency": (
        "containerConcurrency: 2",
        "containerConcurrency: 1001",
        "spec.template.spec.containerConcurrency",
        "was 1001",
    ),
    "a lifecycle": (
        "name: function\n",
        "name: function\n          lifecycle: {}\n",
        f"{CONTAINER}.lifecycle",
        "cannot be used: Serving refuses it",
    ),
    "init containers": (
        "timeoutSeconds: 90",
        "initContainers: [{image: a}]",
        "spec.template.spec.initContainers",
        "unless the feature kubernetes.podspec-init-containers is on",
    ),
    "affinity": ("timeoutSeconds: 90", "affinity: {}", "spec.template.spec.affinity", "kubernetes.podspec-affinity"),
    "a node selector": (
        "timeoutSeconds: 90",
        "nodeSelector: {disk: ssd}",
        "spec.template.spec.nodeSelector",
        "kubernetes.podspec-nodeselector",
    ),
    "a pod's security context": (
        "timeoutSeconds: 90",
        "securityContext: {}",
        "spec.template.spec.securityContext",
        "set it on the container",
    ),
    "a fieldRef": (
        "secretKeyRef: {name: secrets, key: REDIS_URL}",
        "fieldRef: {fieldPath: metadata.name}",
        f"{CONTAINER}.env[1].valueFrom.fieldRef",
        "kubernetes.podspec-fieldref",
    ),
    "privileges": ("runAsNonRoot: true", "privileged: true", f"{CONTAINER}.securityContext.privileged", "False"),
    "a volume claim": (
        "emptyDir: {medium: Memory}",
        "persistentVolumeClaim: {claimName: c}",
        "spec.template.spec.volumes[0].persistentVolumeClaim",
        "kubernetes.podspec-persistent-volume-claim",
    ),
    "a volume that is mounted nowhere": (
        "            - {name: tmp, mountPath: /tmp}\n",
        "            []\n",
        "spec.template.spec.volumes[0]",
        "is mounted nowhere",
    ),
    "a probe without a period": (
        "successThreshold: 1",
        "timeoutSeconds: 3",
        f"{CONTAINER}.readinessProbe.timeoutSeconds",
        "is refused while periodSeconds is 0 or not there",
    ),
    "a request above its limit": (
        "requests: {memory: 1Gi}",
        "requests: {memory: 3Gi}",
        f"{CONTAINER}.resources.requests.memory",
        "must not be above the limit, which is 2Gi, was 3Gi",
    ),
    "scaling on the Service itself": (
        "  labels:\n    networking",
        '  annotations: {autoscaling.knative.dev/min-scale: "1"}\n  labels:\n    networking',
        'metadata.annotations["autoscaling.knative.dev/min-scale"]',
        "belong under spec.template.metadata.annotations",
    ),
    "a visibility": (
        "visibility: cluster-local",
        "visibility: public",
        'metadata.labels["networking.knative.dev/visibility"]',
        'must be "cluster-local" or not be there',
    ),
    # what Eventing refuses or crashes on
    "no broker": ("  broker: broker\n", "", "spec.broker", "is missing"),
    "two dialects": (
        "    - exact:\n        type: dev.example.requested\n",
        "    - exact: {type: a}\n      prefix: {source: b}\n",
        "spec.filters[0]",
        "exactly one dialect of exact, prefix, suffix, all, any, not is needed, found exact, prefix",
    ),
    "an attribute without a value": (
        "        type: dev.example.requested\n",
        '        type: ""\n',
        "spec.filters[0].exact.type",
        "at least 1",
    ),
    "an attribute's name": (
        "        type: dev.example.requested\n",
        "        Cost-Class: a\n",
        "spec.filters[0].exact.Cost-Class",
        "lower-case letters and digits",
    ),
    "retryAfterMax": (
        "retry: 3",
        "retryAfterMax: PT10S",
        "spec.delivery.retryAfterMax",
        "unless the feature delivery-retryafter is on",
    ),
    "a policy without a delay": (
        "    backoffDelay: PT1S\n",
        "",
        "spec.delivery",
        "the delivery block of Trigger resize has no backoffDelay",
    ),
    "neither policy nor delay": (
        "    backoffPolicy: exponential\n    backoffDelay: PT1S\n",
        "",
        "spec.delivery",
        "has no backoffPolicy and no backoffDelay",
    ),
    "no time at all": ("timeout: PT110S", "timeout: PT0S", "spec.delivery.timeout", "must be more than 0"),
    # the channel template inside the ConfigMap
    "a channel's field": (
        "maxAge: 168h",
        "maxAges: 168h",
        "data.channel-template-spec: spec.stream.config.maxAges",
        'unknown field; did you mean "maxAge"?',
    ),
    "pull consumers": (
        "deliverPolicy: New",
        "consumerType: Pull",
        "data.channel-template-spec: spec.consumerConfigTemplate.consumerType",
        "must be 'Push', was 'Pull'",
    ),
    "a stream's setting in the wrong place": (
        "      stream:\n        config:\n          retention: Interest\n          maxAge: 168h\n",
        "      stream:\n        maxAge: 168h\n",
        "data.channel-template-spec: spec.stream.maxAge",
        "a cluster ignores it here in silence; put it under stream.config",
    ),
    # routes
    "a relative path": ("value: /}", "value: api}", "spec.rules[0].matches[0].path", "value must begin with /"),
}


@pytest.mark.parametrize(("old", "new", "path", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_finding_that_names_field_and_reason(
    tmp_path: Path, old: str, new: str, path: str, message: str
) -> None:
    found = findings(tmp_path, changed(old, new))
    assert [finding.path for finding in found] == [path]
    assert message in found[0].message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("retry: 3", "retries: 3"),
        ("window: 30s", "window: 5s"),
        ("maxAge: 168h", "maxAges: 168h"),
        ('schedule: "*/15 * * * * *"', 'schedule: "every day"'),
    ],
)
def test_a_finding_points_at_the_line_of_the_fault(tmp_path: Path, old: str, new: str) -> None:
    text = changed(old, new)
    (finding,) = findings(tmp_path, text)
    assert (finding.file, finding.line) == (tmp_path / "all.yaml", line_of(text, new))
    assert str(finding).startswith(f"{tmp_path / 'all.yaml'}:{finding.line}: {finding.path}: ")


def test_all_faults_are_reported_together_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = changed("retry: 3", "retries: 3").replace("window: 30s", "window: 5s").replace("name: sweep", "name: Sweep")
    found = findings(tmp_path, text)
    assert [finding.message.split(",")[0].split(";")[0] for finding in found] == [
        "must be from 6s to 1h",
        "unknown field",
        "must be a DNS subdomain (lower-case letters",
    ]
    assert [finding.line for finding in found] == sorted(finding.line for finding in found)


def test_a_reference_to_a_manifest_with_a_fault_of_its_own_is_no_second_fault(tmp_path: Path) -> None:
    found = findings(tmp_path, changed("timeoutSeconds: 90", "timeoutSeconds: 9000"))
    assert len(found) == 1


def test_a_knative_service_needs_a_dns_1035_name_and_other_resources_do_not(tmp_path: Path) -> None:
    text = PIPELINE.replace("name: resize", "name: 1resize")
    assert [(f.path, f.message.split(" (")[0]) for f in findings(tmp_path, text)] == [
        ("metadata.name", "must be a DNS-1035 label")
    ]


def test_the_same_name_twice_is_a_fault(tmp_path: Path) -> None:
    again = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: n}\n"
    (finding,) = findings(tmp_path, PIPELINE + again)
    assert "is there twice, first at" in finding.message
    assert finding.line > PIPELINE.count("\n")


def test_the_same_name_in_two_folders_is_a_fault(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "n.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n")
    with pytest.raises(ManifestError, match="is there twice"):
        load([tmp_path / "a", tmp_path / "b"])


def test_the_items_of_a_list_are_loaded(tmp_path: Path) -> None:
    documents = [each for each in yaml.safe_load_all(PIPELINE) if each]
    (tmp_path / "list.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": documents}))
    assert [each.name for each in load([tmp_path]).triggers] == ["resize"]


# --- what a cluster accepts ------------------------------------------------------------------------------------------

SCHEDULE = '"*/15 * * * * *"'


@pytest.mark.parametrize(
    ("schedule", "expression", "zone"),
    [
        ('"@hourly"', "0 0 * * * *", "UTC"),
        ('"0 6 ? * MON"', "0 0 6 * * 1", "UTC"),
        ('"TZ=Asia/Tokyo 0 6 * * *"', "0 0 6 * * *", "Asia/Tokyo"),
        ('"@daily"\n  timezone: Europe/Berlin', "0 0 0 * * *", "Europe/Berlin"),
        ('""', "0 * * * * *", "UTC"),
    ],
)
def test_a_schedule_of_knative_is_one_that_the_local_runtime_waits_for(
    tmp_path: Path, schedule: str, expression: str, zone: str
) -> None:
    (source,) = load_text(tmp_path, changed(SCHEDULE, schedule)).ping_sources
    assert (source.spec.cron, source.spec.zone) == (expression, zone)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("PT1M30S", "PT1M30S"), ("P1D", "P1D"), ("PT0.25S", "PT0.2S"), ("+PT2S", "PT2S"), ("P1Y", "PT31556952S")],
)
def test_a_period_of_knative_is_one_that_the_local_runtime_reads(tmp_path: Path, text: str, canonical: str) -> None:
    (trigger,) = load_text(tmp_path, changed("timeout: PT110S", f"timeout: {text}")).triggers
    assert trigger.spec.delivery is not None
    assert trigger.spec.delivery.timeout == canonical


def test_a_filter_may_name_several_attributes_and_an_empty_one_is_left_out(tmp_path: Path) -> None:
    old = "    - exact:\n        type: dev.example.requested\n"
    (trigger,) = load_text(tmp_path, changed(old, "    - {}\n    - exact: {type: a, source: b}\n")).triggers
    assert [each.exact for each in trigger.spec.filters] == [{"type": "a", "source": "b"}]


def test_zeros_are_the_defaults_of_serving(tmp_path: Path) -> None:
    (service,) = load_text(tmp_path, changed("timeoutSeconds: 90", "timeoutSeconds: 0")).services
    assert service.spec.template.spec.timeout_seconds == 300


def test_an_older_spelling_of_an_annotation_counts(tmp_path: Path) -> None:
    text = changed('autoscaling.knative.dev/max-scale: "10"', 'autoscaling.knative.dev/maxScale: "7"')
    assert load_text(tmp_path, text).services[0].spec.template.scaling.max_scale == 7


def test_labels_and_annotations_of_other_owners_are_left_alone(tmp_path: Path) -> None:
    marks = "annotations: {prometheus.io/scrape: 'true'}, labels: {team: a, serving.knative.dev/service: b}"
    text = changed(
        "metadata: {name: resize, namespace: n}\nspec:\n  broker",
        f"metadata: {{name: resize, namespace: n, {marks}}}\nspec:\n  broker",
    )
    assert load_text(tmp_path, text).triggers


# --- YAML ------------------------------------------------------------------------------------------------------------


def test_a_duplicate_key_is_a_fault(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "apiVersion: v1\nkind: Namespace\nkind: ConfigMap\nmetadata: {name: n}\n")
    assert (finding.line, finding.path) == (3, "kind")


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\n",
        "a: b: c\n",
        "a: &x 1\nb: *y\n",
        "a: &x [*x]\n",
        "\ta: 1\n",
        "kind: !!python/object:os.x {}\napiVersion: v1\n",
    ],
)
def test_what_is_not_plain_yaml_is_a_finding(tmp_path: Path, text: str) -> None:
    assert "not YAML" in findings(tmp_path, text)[0].message


@pytest.mark.parametrize("text", ["kind: Service\n", "apiVersion: v1\nkind: 3\n"])
def test_a_document_that_is_no_manifest_is_a_finding(tmp_path: Path, text: str) -> None:
    assert len(findings(tmp_path, text)) == 1


def test_a_file_that_is_not_utf8_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ManifestError, match="cannot be read"):
        load([tmp_path])


def test_empty_documents_are_left_out(tmp_path: Path) -> None:
    assert load_text(tmp_path, f"---\n---\n# nothing\n---\n{PIPELINE}").services


# --- files -----------------------------------------------------------------------------------------------------------


def write_kustomization(directory: Path, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "kustomization.yaml").write_text(textwrap.dedent(text))


def test_a_kustomization_is_followed_to_its_files_and_directories(tmp_path: Path) -> None:
    write_kustomization(tmp_path / "base", "resources: [all.yaml]")
    (tmp_path / "base" / "all.yaml").write_text(PIPELINE)
    (tmp_path / "base" / "not-listed.yaml").write_text("kind: Nonsense")
    write_kustomization(tmp_path / "top", "resources: [../base]")
    manifests = load([tmp_path / "top"])
    assert manifests.services
    assert [file.resolve().relative_to(tmp_path.resolve()).as_posix() for file in manifests.files] == [
        "top/kustomization.yaml",
        "base/kustomization.yaml",
        "base/all.yaml",
    ]


def test_a_directory_without_a_kustomization_is_all_its_yaml_files(tmp_path: Path) -> None:
    parts = PIPELINE.split("---\n")
    (tmp_path / "a.yaml").write_text("---\n".join(parts[:4]))
    (tmp_path / "b.yml").write_text("---\n".join(parts[4:]))
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert load([tmp_path]).triggers


def test_several_paths_refer_to_each_other(tmp_path: Path) -> None:
    parts = PIPELINE.split("---\n")
    (tmp_path / "a.yaml").write_text("---\n".join(parts[:4]))
    (tmp_path / "b.yaml").write_text("---\n".join(parts[4:]))
    assert load([tmp_path / "a.yaml", tmp_path / "b.yaml"]).triggers


@pytest.mark.parametrize("field", ["patches", "namePrefix", "components", "images", "configMapGenerator"])
def test_a_kustomization_that_changes_its_resources_must_be_rendered_first(tmp_path: Path, field: str) -> None:
    write_kustomization(tmp_path, f"resources: []\n{field}: []\n")
    with pytest.raises(ManifestError, match="render it first with kubectl kustomize") as caught:
        load([tmp_path])
    assert caught.value.findings[0].line == 2


def test_a_typo_in_a_kustomization_is_distinguished_from_what_needs_rendering(tmp_path: Path) -> None:
    write_kustomization(tmp_path, "resource: []\n")
    with pytest.raises(ManifestError, match='unknown field; did you mean "resources"'):
        load([tmp_path])


@pytest.mark.parametrize("resource", ["missing.yaml", "https://example.com/a.yaml"])
def test_a_resource_that_is_not_there_is_named_with_its_line(tmp_path: Path, resource: str) -> None:
    write_kustomization(tmp_path, f"resources:\n  - {resource}\n")
    with pytest.raises(ManifestError, match="there is no such file or directory") as caught:
        load([tmp_path])
    assert caught.value.findings[0].line == 2


def test_kustomizations_that_include_each_other_are_a_finding(tmp_path: Path) -> None:
    write_kustomization(tmp_path / "a", "resources: [../b]")
    write_kustomization(tmp_path / "b", "resources: [../a]")
    with pytest.raises(ManifestError, match="is reached twice"):
        load([tmp_path / "a"])


def test_a_path_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such file or directory"):
        load([tmp_path / "missing"])
