"""Strangers' YAML: what of it runs, and by which name and reason the rest is left out, without stopping the others."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from darkroom.manifests import ManifestError, Manifests, load
from darkroom.manifests.left_out import FILE, LeftOut, summarised
from darkroom.manifests.project import read_project
from tests.unit.manifests.test_manifests import PIPELINE, changed, load_text

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: warehouse, namespace: shop, labels: {app: warehouse}}
spec:
  replicas: 2
  strategy: {type: Recreate}
  selector: {matchLabels: {app: warehouse}}
  template:
    metadata: {labels: {app: warehouse, tier: back}, annotations: {prometheus.io/scrape: "true"}}
    spec:
      terminationGracePeriodSeconds: 5
      nodeSelector: {disk: ssd}
      containers:
        - name: main
          image: ghcr.io/shop/warehouse:2
          imagePullPolicy: Always
          lifecycle: {preStop: {exec: {command: [sleep, "1"]}}}
          ports: [{name: http, containerPort: 9090}, {name: metrics, containerPort: 9091}]
          env:
            - {name: PORT, value: "9090"}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
          readinessProbe: {httpGet: {path: /ready, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: shop}
spec:
  selector: {app: warehouse}
  ports: [{port: 80, targetPort: http}]
---
"""
BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: shop}
---
"""
SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello, namespace: shop}
spec:
  template:
    spec:
      containers:
        - image: ghcr.io/shop/hello:1
---
"""


def trigger(subscriber: str, *, name: str = "to-hello", more: str = "") -> str:
    return (
        f"apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec:\n  broker: default\n  subscriber: {subscriber}\n{more}---\n"
    )


TO_HELLO = trigger("{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}")


def left_out(manifests: Manifests) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.reason) for each in manifests.left_out]


def notes(manifests: Manifests) -> list[str]:
    return [each.reason for each in manifests.notes]


# --- one thing in a pipeline that does not run here ------------------------------------------------------------------

CONTAINER = "spec.template.spec.containers[0]"
LIMITATIONS = {
    "a kind of sink": (
        "kind: Broker, name: broker}",
        "kind: Pipe, name: broker}",
        "SinkBinding resize",
        "spec.sink.ref: no such kind of sink here: Pipe",
    ),
    "a broker": (
        "broker: broker",
        "broker: brokr",
        "Trigger resize",
        "there is no Broker 'brokr' in the namespace 'n'",
    ),
    "a subscriber": (
        "    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}\n  delivery",
        "    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resise}\n  delivery",
        "Trigger resize",
        "there is no Service 'resise' in the namespace 'n'; did you mean \"resize\"?",
    ),
    "a dead-letter sink": (
        "kind: Service\n        name: resize",
        "kind: Service\n        name: recovery",
        "Trigger resize",
        "there is no Service 'recovery'",
    ),
    "a subject": (
        "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}",
        "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: crop}",
        "SinkBinding resize",
        "there is no Service 'crop'",
    ),
    "a subject of another kind": (
        "subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}",
        "subject: {apiVersion: batch/v1, kind: CronJob, name: resize}",
        "SinkBinding resize",
        "runs no CronJob of batch/v1",
    ),
    "a route's backend": (
        "        - name: resize\n",
        "        - name: front\n",
        "HTTPRoute route",
        "rule 1: there is no Service 'front'",
    ),
    "cesql": (
        "    - exact:\n        type: dev.example.requested\n",
        "    - cesql: \"type = 'a'\"\n",
        "Trigger resize",
        r"spec.filters\[0\].cesql: .*the local runtime has no CloudEvents SQL",
    ),
    "cesql deep down": (
        "    - exact:\n        type: dev.example.requested\n",
        "    - not: {any: [{cesql: \"type = 'a'\"}]}\n",
        "Trigger resize",
        "the local runtime has no CloudEvents SQL",
    ),
    "a regular expression": (
        "type: PathPrefix",
        "type: RegularExpression",
        "HTTPRoute route",
        "must be 'Exact' or 'PathPrefix'",
    ),
    "query parameters": (
        "- method: GET",
        "- queryParams: [{name: a, value: b}]",
        "HTTPRoute route",
        "does not match query parameters",
    ),
}


@pytest.mark.parametrize(("old", "new", "name", "reason"), LIMITATIONS.values(), ids=LIMITATIONS)
def test_what_the_local_runtime_cannot_do_leaves_out_its_manifest_alone(
    tmp_path: Path, old: str, new: str, name: str, reason: str
) -> None:
    text = changed(old, new)
    (found,) = load_text(tmp_path, text).left_out
    assert f"{found.kind} {found.name}" == name
    assert re.search(reason, found.reason)
    # On the line of the change, or where the part begins that it is in.
    assert abs(found.line - 1 - text[: text.index(new)].count("\n")) <= new.count("\n") + 1


@pytest.mark.parametrize(("old", "new", "name", "reason"), LIMITATIONS.values(), ids=LIMITATIONS)
def test_with_strict_the_same_is_an_error(tmp_path: Path, old: str, new: str, name: str, reason: str) -> None:
    (tmp_path / "a.yaml").write_text(changed(old, new))
    with pytest.raises(ManifestError, match="is left out"):
        load([tmp_path / "a.yaml"], strict=True)


CASCADES = {
    "a ConfigMap": (
        "                name: settings",
        "                name: setings",
        "there is no ConfigMap 'setings' in the namespace 'n'; did you mean \"settings\"?",
        {"Service", "Trigger", "PingSource", "SinkBinding", "HTTPRoute"},
    ),
    "a Broker's ConfigMap": (
        "kind: ConfigMap, name: channel}",
        "kind: ConfigMap, name: chanel}",
        "there is no ConfigMap 'chanel' in the namespace 'n'; did you mean \"channel\"?",
        {"Broker", "Trigger", "SinkBinding"},
    ),
    "the template's key": (
        "channel-template-spec: |",
        "channel-template: |",
        'its ConfigMap channel needs the key channel-template-spec; did you mean "channel-template-spec"?',
        {"Broker", "Trigger", "SinkBinding"},
    ),
}


@pytest.mark.parametrize(("old", "new", "reason", "kinds"), CASCADES.values(), ids=CASCADES)
def test_what_refers_to_something_left_out_is_left_out_too(
    tmp_path: Path, old: str, new: str, reason: str, kinds: set[str]
) -> None:
    manifests = load_text(tmp_path, changed(old, new))
    assert {each.kind for each in manifests.left_out} == kinds
    assert reason in {each.reason for each in manifests.left_out}
    assert manifests.services or "Service" in kinds


def test_a_reference_into_another_namespace_says_where_the_thing_is(tmp_path: Path) -> None:
    text = changed(
        "metadata: {name: resize, namespace: n}\nspec:\n  broker", "metadata: {name: resize}\nspec:\n  broker"
    )
    (found,) = load_text(tmp_path, text).left_out
    assert "only in 'n'" in found.reason


# --- what is ignored -------------------------------------------------------------------------------------------------

SERVICES = {
    "what kubectl get prints": (
        SERVICE.replace(
            "{name: hello, namespace: shop}",
            "{name: hello, namespace: shop, uid: a-b, resourceVersion: '7', generation: 2, creationTimestamp: null, "
            "managedFields: [{manager: kubectl}], ownerReferences: [], finalizers: [x], annotations: "
            "{serving.knative.dev/creator: me, argocd.argoproj.io/sync-wave: '1', client.knative.dev/x: y}}",
        ).replace("---\n", "status: {url: 'http://hello'}\n---\n"),
        [],
    ),
    "a revision's name": (
        SERVICE.replace("    spec:\n", "    metadata: {name: hello-v1, creationTimestamp: null}\n    spec:\n"),
        ["spec.template.metadata.name is ignored: the local runtime numbers revisions itself"],
    ),
    "a traffic split": (
        SERVICE.replace(
            "---\n",
            "  traffic:\n    - {revisionName: hello-00001, percent: 90}\n"
            "    - {latestRevision: true, percent: 10}\n---\n",
        ),
        ["spec.traffic is ignored: the local runtime sends all requests to the latest revision"],
    ),
    "another autoscaler": (
        SERVICE.replace(
            "    spec:\n",
            "    metadata:\n      annotations:\n        autoscaling.knative.dev/class: hpa.autoscaling.knative.dev\n"
            "        autoscaling.knative.dev/metric: cpu\n    spec:\n",
        ),
        ["is ignored: must be 'concurrency' (the local runtime measures concurrency), was 'cpu'", "was 'hpa"],
    ),
    "a sidecar": (
        SERVICE.replace(
            "        - image: ghcr.io/shop/hello:1\n",
            "        - {name: log, image: log}\n"
            "        - {image: ghcr.io/shop/hello:1, ports: [{containerPort: 8080}]}\n",
        ),
        ["the container log does not run here"],
    ),
    "a mounted Secret": (
        SERVICE.replace(
            "        - image: ghcr.io/shop/hello:1\n",
            "        - {image: hello, volumeMounts: [{name: tls, mountPath: /tls}]}\n"
            "      volumes: [{name: tls, secret: {secretName: tls}}]\n",
        ),
        ["the volume tls is not mounted here"],
    ),
    "two more timeouts": (
        SERVICE.replace("      containers:", "      responseStartTimeoutSeconds: 10\n      containers:"),
        ["responseStartTimeoutSeconds is ignored: the local runtime has only timeoutSeconds"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), SERVICES.values(), ids=SERVICES)
def test_a_knative_service_runs_whatever_else_it_says(tmp_path: Path, text: str, expected: list[str]) -> None:
    manifests = load_text(tmp_path, text)
    assert [each.name for each in manifests.services] == ["hello"]
    assert manifests.left_out == ()
    assert len(notes(manifests)) == len(expected)
    for wanted in expected:
        assert any(wanted in note for note in notes(manifests)), notes(manifests)


def test_the_container_with_the_port_is_the_one_that_runs(tmp_path: Path) -> None:
    (service,) = load_text(tmp_path, SERVICES["a sidecar"][0]).services
    assert service.spec.template.spec.container.image == "ghcr.io/shop/hello:1"


# --- Brokers ---------------------------------------------------------------------------------------------------------

IN_MEMORY = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {channel-template-spec: "apiVersion: messaging.knative.dev/v1\\nkind: InMemoryChannel\\n"}
---
"""


def broker(broker_class: str, config: str = "") -> str:
    marked = f"annotations: {{eventing.knative.dev/broker.class: {broker_class}}}"
    head = BROKER.replace("namespace: shop}", f"namespace: shop, {marked}}}")
    return head.replace("---\n", f"spec: {{config: {config}}}\n---\n") if config else head


INSTALLED = "{apiVersion: v1, kind: ConfigMap, name: config-br-default-channel, namespace: knative-eventing}"
BROKERS = {
    "nothing at all": (BROKER, "with the defaults of its channels"),
    "the installation's settings": (broker("MTChannelBasedBroker", INSTALLED), "with the defaults of its channels"),
    "channels in memory": (
        IN_MEMORY + broker("MTChannelBasedBroker", "{apiVersion: v1, kind: ConfigMap, name: settings}"),
        "not on InMemoryChannel",
    ),
    "Kafka": (
        broker("Kafka", "{apiVersion: v1, kind: ConfigMap, name: kafka-broker-config, namespace: knative-eventing}"),
        "not as a Broker of class Kafka",
    ),
    "RabbitMQ": (
        broker("RabbitMQBroker", "{apiVersion: eventing.knative.dev/v1alpha1, kind: RabbitmqBrokerConfig, name: r}"),
        "not as a Broker of class RabbitMQBroker",
    ),
    "the native one": (broker("NatsJetStreamBroker"), "not as a Broker of class NatsJetStreamBroker"),
    "a slip": (broker("MTChannelBasedBrokr"), 'did you mean "MTChannelBasedBroker"?'),
}


@pytest.mark.parametrize(("text", "note"), BROKERS.values(), ids=BROKERS)
def test_every_broker_runs_on_jetstream_and_says_so_once(tmp_path: Path, text: str, note: str) -> None:
    manifests = load_text(tmp_path, text)
    (only,) = manifests.brokers
    assert manifests.channel(only).retention == "Limits"
    (found,) = notes(manifests)
    assert found.startswith("runs on NATS JetStream here")
    assert note in found


def test_a_delivery_block_needs_no_backoff_where_no_manifest_names_jetstream(tmp_path: Path) -> None:
    delivering = trigger("{uri: 'http://example.com'}", more="  delivery: {retry: 3}\n")
    (found,) = load_text(tmp_path, BROKER + delivering).triggers
    assert found.spec.delivery is not None
    assert found.spec.delivery.backoff_delay is None


# --- Deployments and Services of Kubernetes --------------------------------------------------------------------------


def test_a_deployment_is_a_workload_of_fixed_scale_behind_the_services_that_select_it(tmp_path: Path) -> None:
    to_stock = trigger("{ref: {apiVersion: v1, kind: Service, name: stock}, uri: /in}")
    manifests = load_text(tmp_path, BROKER + DEPLOYMENT + to_stock)
    (deployment,) = manifests.deployments
    scaling = deployment.scaling
    assert (scaling.min_scale, scaling.max_scale, scaling.initial_scale) == (2, 2, 2)
    assert manifests.backends == {("shop", "stock"): ("shop", "warehouse")}
    assert [each.name for each in manifests.triggers] == ["to-hello"]
    assert manifests.left_out == ()


def test_a_service_of_kubernetes_without_a_deployment_is_left_out_with_what_refers_to_it(tmp_path: Path) -> None:
    service = DEPLOYMENT.partition("---\n")[2]
    to_stock = trigger("{ref: {apiVersion: v1, kind: Service, name: stock}}")
    assert left_out(load_text(tmp_path, BROKER + service + to_stock)) == [
        ("Service", "stock", "selects no Deployment that runs here"),
        ("Trigger", "to-hello", "the Service shop/stock is left out"),
    ]


def test_a_deployment_without_instances_is_left_out(tmp_path: Path) -> None:
    (first, *_) = left_out(load_text(tmp_path, DEPLOYMENT.replace("replicas: 2", "replicas: 0")))
    assert first == ("Deployment", "warehouse", "spec.replicas: has no instances: replicas is 0")


@pytest.mark.parametrize(
    "subject", ["name: warehouse", "selector: {matchLabels: {app: warehouse}}"], ids=["by name", "by labels"]
)
def test_a_sink_binding_gives_its_sink_to_a_deployment(tmp_path: Path, subject: str) -> None:
    binding = (
        "apiVersion: sources.knative.dev/v1\nkind: SinkBinding\nmetadata: {name: b, namespace: shop}\nspec:\n"
        f"  subject: {{apiVersion: apps/v1, kind: Deployment, {subject}}}\n"
        "  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: default}}\n"
    )
    manifests = load_text(tmp_path, BROKER + DEPLOYMENT + binding)
    assert [each.name for each in manifests.sink_bindings] == ["b"]
    assert manifests.left_out == ()


def test_knative_makes_a_service_of_kubernetes_for_each_of_its_own(tmp_path: Path) -> None:
    to_hello = trigger("{ref: {apiVersion: v1, kind: Service, name: hello}}")
    assert load_text(tmp_path, BROKER + SERVICE + to_hello).left_out == ()


# --- Secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_has_its_values_and_keeps_them_out_of_messages(tmp_path: Path) -> None:
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: Opaque\n"
        "data: {PASSWORD: c2VjcmV0, USER: bWU=, BINARY: /w==}\nstringData: {USER: you}\n"
    )
    (found,) = load_text(tmp_path, secret).secrets
    assert found.values == {"PASSWORD": "secret", "USER": "you"}
    assert "c2VjcmV0" not in repr(found)


def test_what_is_no_base64_is_named_without_its_value(tmp_path: Path) -> None:
    (found,) = load_text(tmp_path, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {A: 'p@ss!'}\n").left_out
    assert found.reason == "data.A: is not Base64; plain text belongs in stringData"


# --- HTTPRoutes ------------------------------------------------------------------------------------------------------


def route(*rules: str) -> str:
    listed = "".join(f"    - {rule}\n" for rule in rules)
    return (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n"
        "  parentRefs: [{name: gateway, namespace: istio-system}]\n  hostnames: [shop.example.com]\n"
        f"  rules:\n{listed}"
    )


TO_SERVICE = "{matches: [{path: {value: /hello}}], backendRefs: [{name: hello, port: 80}]}"
RULES = {
    "a backend that is not here": "{backendRefs: [{name: other, port: 80}]}",
    "a filter": (
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}}], "
        "backendRefs: [{name: hello, port: 80}]}"
    ),
    "a redirect": "{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}",
    "a regular expression": (
        "{matches: [{path: {type: RegularExpression, value: '/a.*'}}], backendRefs: [{name: hello, port: 80}]}"
    ),
    "a header's regular expression": (
        "{matches: [{headers: [{type: RegularExpression, name: a, value: b}]}], backendRefs: [{name: hello, port: 80}]}"
    ),
    "another kind of backend": (
        "{backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: hello, port: 80}]}"
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("first", [True, False])
def test_a_rule_that_cannot_be_followed_is_left_out_and_the_others_are_not(
    tmp_path: Path, rule: str, first: bool
) -> None:
    rules = (rule, TO_SERVICE) if first else (TO_SERVICE, rule)
    manifests = load_text(tmp_path, SERVICE + route(*rules))
    (only,) = manifests.routes
    assert [each.backend.name for each in only.spec.rules] == ["hello"]
    ((kind, name, reason),) = left_out(manifests)
    assert (kind, name) == ("HTTPRoute", "r")
    assert reason.startswith(f"rule {1 if first else 2}: ")


def test_a_split_of_traffic_leads_to_the_heaviest_backend_that_is_here(tmp_path: Path) -> None:
    backends = (
        "{name: gone, port: 80, weight: 90}, {name: hello, port: 80, weight: 10}, {name: old, port: 80, weight: 0}"
    )
    manifests = load_text(tmp_path, SERVICE + route(f"{{backendRefs: [{backends}]}}"))
    assert manifests.routes[0].spec.rules[0].backend.name == "hello"
    assert notes(manifests) == ["the local gateway does not split traffic: rule 1 leads to hello alone"]


def test_a_route_to_a_deployment_by_its_service_resolves(tmp_path: Path) -> None:
    assert load_text(tmp_path, DEPLOYMENT + route("{backendRefs: [{name: stock, port: 80}]}")).left_out == ()


# --- files that hold no manifest -------------------------------------------------------------------------------------

OTHERS = {
    "mkdocs.yml": ("site_name: docs\nnav: []\n", "MkDocs"),
    "docker-compose.yaml": ("services: {web: {image: a}}\n", "Compose"),
    "values.yaml": ("replicas: 2\n", "Helm"),
    "func.yaml": ("specVersion: 0.36.0\nname: f\nruntime: go\n", "func"),
    "workflow.yml": ("on: push\njobs: {}\n", "workflow of GitHub"),
    "chart.yaml": ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n", "template"),
    "list.yaml": ("- a\n- b\n", "without apiVersion and kind"),
    "tagged.yaml": ("a: !!python/object:os.x {}\n", "without apiVersion and kind"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_that_holds_no_manifest_is_left_out_with_a_word(tmp_path: Path, name: str) -> None:
    text, what = OTHERS[name]
    (tmp_path / name).write_text(text)
    (tmp_path / "hello.yml").write_text(SERVICE)
    manifests = load([tmp_path])
    assert [each.name for each in manifests.services] == ["hello"]
    ((kind, found, reason),) = left_out(manifests)
    assert (kind, found) == (FILE, name)
    assert what in reason


@pytest.mark.parametrize(
    "image", ["docker.io/{username}/audit", "<your-registry>/audit", "ko://shop/audit", "${IMAGE}"]
)
def test_a_manifest_that_is_still_to_be_filled_in_is_left_out(tmp_path: Path, image: str) -> None:
    audit = SERVICE.replace("hello", "audit").replace("ghcr.io/shop/audit:1", f"'{image}'")
    manifests = load_text(tmp_path, SERVICE + audit)
    assert [each.name for each in manifests.services] == ["hello"]
    ((kind, name, reason),) = left_out(manifests)
    assert (kind, name) == ("Service", "audit")
    assert "placeholders are not filled in" in reason


def test_a_document_among_manifests_that_is_none_is_left_out(tmp_path: Path) -> None:
    manifests = load_text(tmp_path, f"{SERVICE}just: text\n")
    assert left_out(manifests) == [(FILE, "all.yaml", "a document is without apiVersion and kind")]


def test_a_name_that_is_made_up_is_left_out(tmp_path: Path) -> None:
    (found,) = left_out(load_text(tmp_path, SERVICE.replace("name: hello", "generateName: hello-")))
    assert found[:2] == ("Service", "hello-?")
    assert "generateName" in found[2]


def test_the_same_thing_twice_matters_only_where_it_runs(tmp_path: Path) -> None:
    gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {}\n---\n"
    assert len(load_text(tmp_path, SERVICE + gateway + gateway).left_out) == 2
    with pytest.raises(ManifestError, match="is there twice"):
        load_text(tmp_path, SERVICE + SERVICE)


def test_folders_are_looked_into_where_a_folder_has_no_yaml_of_its_own(tmp_path: Path) -> None:
    for name in ("hello", "node_modules", ".git"):
        (tmp_path / "k8s" / name).mkdir(parents=True)
        (tmp_path / "k8s" / name / "service.yaml").write_text(SERVICE.replace("hello", name.strip(".")))
    assert [each.name for each in load([tmp_path / "k8s"]).services] == ["hello"]


def test_a_kustomization_in_the_root_says_what_a_project_runs(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [hello.yaml]\n")
    (tmp_path / "hello.yaml").write_text(SERVICE)
    (tmp_path / "other.yaml").write_text(SERVICE.replace("hello", "other"))
    assert [each.name for each in load(read_project(tmp_path).manifests).services] == ["hello"]


def test_a_file_to_which_two_paths_lead_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(SERVICE)
    assert len(load([tmp_path / "hello.yaml", tmp_path]).services) == 1


# --- public shapes ---------------------------------------------------------------------------------------------------

# Each is small and in the shape of an example that many copy: what runs of it, and what is left out.
SHAPES = {
    "an event display behind a Broker": (
        BROKER
        + SERVICE
        + TO_HELLO.replace("  broker: default\n", "  broker: default\n  filter: {attributes: {type: a}}\n"),
        {"services": 1, "brokers": 1, "triggers": 1},
        set(),
    ),
    "a source that only a cluster has": (
        SERVICE + "apiVersion: sources.knative.dev/v1\nkind: ApiServerSource\nmetadata: {name: a, namespace: shop}\n"
        "spec:\n  serviceAccountName: a\n  mode: Resource\n  resources: [{apiVersion: v1, kind: Event}]\n"
        "  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}\n---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: []\n",
        {"services": 1},
        {"ApiServerSource", "ClusterRole"},
    ),
    "a heartbeat in a container": (
        SERVICE + "apiVersion: sources.knative.dev/v1\nkind: ContainerSource\nmetadata: {name: heartbeats}\nspec:\n"
        "  template: {spec: {containers: [{name: h, image: h}]}}\n"
        "  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}\n",
        {"services": 1},
        {"ContainerSource"},
    ),
    "Kafka's topics and source": (
        SERVICE
        + "apiVersion: sources.knative.dev/v1beta1\nkind: KafkaSource\nmetadata: {name: k}\nspec: {topics: [a]}\n"
        "---\napiVersion: kafka.strimzi.io/v1beta2\nkind: KafkaTopic\nmetadata: {name: a}\nspec: {partitions: 3}\n",
        {"services": 1},
        {"KafkaSource", "KafkaTopic"},
    ),
    "a ping to a Deployment": (
        DEPLOYMENT
        + "apiVersion: sources.knative.dev/v1\nkind: PingSource\nmetadata: {name: p, namespace: shop}\nspec:\n"
        "  schedule: '*/2 * * * *'\n  contentType: application/json\n  data: '{\"a\": 1}'\n"
        "  sink: {ref: {apiVersion: v1, kind: Service, name: stock}}\n",
        {"deployments": 1, "ping_sources": 1},
        set(),
    ),
    "a Trigger to a Deployment itself": (
        BROKER + DEPLOYMENT + trigger("{ref: {apiVersion: apps/v1, kind: Deployment, name: warehouse}}"),
        {"brokers": 1, "deployments": 1},
        {"Trigger"},
    ),
    "a Trigger of another project's Broker": (SERVICE + TO_HELLO, {"services": 1}, {"Trigger"}),
    "an operator's installation": (
        BROKER
        + "apiVersion: operator.knative.dev/v1beta1\nkind: KnativeServing\nmetadata: {name: s}\nspec: {version: '1'}\n",
        {"brokers": 1},
        {"KnativeServing"},
    ),
    "a namespace with rights and limits": (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n---\n"
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: hello, namespace: shop}\nsecrets: [{name: a}]\n---\n"
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: {pods: '5'}}\n---\n"
        + SERVICE.replace("      containers:", "      serviceAccountName: hello\n      containers:"),
        {"services": 1},
        {"ResourceQuota"},
    ),
    "a database beside a function": (
        SERVICE + "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {serviceName: db}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: None, selector: {app: db}}\n---\n"
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: db}\nspec: {accessModes: [ReadWriteOnce]}\n",
        {"services": 1},
        {"StatefulSet", "Service", "PersistentVolumeClaim"},
    ),
}


@pytest.mark.parametrize(("text", "runs", "out"), SHAPES.values(), ids=SHAPES)
def test_a_public_shape_runs_as_far_as_it_can(tmp_path: Path, text: str, runs: dict[str, int], out: set[str]) -> None:
    manifests = load_text(tmp_path, text)
    assert {name: len(getattr(manifests, name)) for name in runs} == runs
    assert {each.kind for each in manifests.left_out} == out
    documents = [each for each in yaml.safe_load_all(text) if each]
    assert len(manifests.resources) + len(manifests.left_out) == len(documents)


# --- how it is told --------------------------------------------------------------------------------------------------


def test_many_of_one_kind_with_one_reason_are_told_in_one_line() -> None:
    def policy(name: str) -> LeftOut:
        return LeftOut(
            file=Path("np.yaml"), line=1, kind="NetworkPolicy", namespace="shop", name=name, reason="loopback"
        )

    assert list(summarised([policy("a")])) == ["NetworkPolicy shop/a (np.yaml:1): loopback"]
    assert list(summarised(policy(name) for name in "abcde")) == [
        "NetworkPolicy 5 of them: a, b, c, ... (np.yaml): loopback"
    ]


def test_a_kustomization_that_needs_rendering_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\nnamePrefix: a-\n")
    with pytest.raises(ManifestError) as caught:
        load([tmp_path])
    assert re.search(rf"(kubectl kustomize|kustomize build) {tmp_path} \| darkroom up --manifests -", str(caught.value))


def test_the_errors_of_a_cluster_stop_it_whatever_is_left_out(tmp_path: Path) -> None:
    text = PIPELINE + textwrap.dedent("""\
        ---
        apiVersion: example.com/v1
        kind: Thing
        metadata: {name: t}
        ---
        apiVersion: eventing.knative.dev/v1
        kind: Trigger
        metadata: {name: t}
        spec: {broker: b, subscriber: {uri: "http://a"}, delivery: {retry: -1}}
        """)
    with pytest.raises(ManifestError) as caught:
        load_text(tmp_path, text)
    assert ["retry" in each.path for each in caught.value.findings] == [True]
