"""What the local runtime does about routing, scaling, retries, streams and the sweep is written in knative/base and
nats-eventing, and nowhere else: change any field there, and its model of the pipeline changes with it. What does not
change it is named below, each with its reason; a field that fits neither fails.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from darkroom.contract import events
from darkroom.contract.job_types import EVENT_TYPES
from darkroom.local.eventing.delivery import consumer_settings, delivery_of
from darkroom.local.eventing.filters import passes
from darkroom.local.eventing.ping import ping_event
from darkroom.local.front.routes import RouteTable
from darkroom.local.revisions.binding import bindings
from darkroom.local.revisions.environment import revisions
from darkroom.manifests import ManifestError, Manifests, load, with_namespace
from darkroom.manifests.revision import Revision
from tests.manifests.rendering import ROOT

BASE, EVENTING = ROOT / "knative" / "base", ROOT / "nats-eventing"
SECRETS = {
    "REDIS_URL": "redis://",
    "POSTGRES_URL": "postgresql://",
    "STORAGE_ACCESS_KEY": "key",
    "STORAGE_SECRET_KEY": "secret",
}
MODELLED = (
    BASE / "resize.yaml",
    BASE / "ingest.yaml",
    BASE / "triggers.yaml",
    BASE / "sweep.yaml",
    BASE / "sinkbindings.yaml",
    BASE / "httproute.yaml",
    BASE / "settings.yaml",
    EVENTING / "broker.yaml",
)
FUNCTIONS = (
    "ingest",
    "status",
    "resize",
    "resize-heavy",
    "crop",
    "crop-heavy",
    "renditions",
    "renditions-heavy",
    "renditions-background",
    "recovery",
    "notify",
)
_STUB = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}, namespace: darkroom}}
spec:
  template:
    spec:
      containers:
        - image: dev.local/stub:1
          env:
            - {{name: FUNCTION_TARGET, value: stub}}
            - {{name: FUNCTION_SOURCE, value: stub.py}}
"""
"""For what only refers to a function."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENTS = [
    {"type": kind, "source": "/darkroom/ingest", **extensions}
    for kind in (*EVENT_TYPES, events.EVENT_REJECTED, events.JOB_COMPLETED, events.JOB_FAILED, events.WEBHOOK_DUE)
    for extensions in ({}, {"costclass": "heavy"}, {"costclass": "background"}, {"webhooks": "we_0123456789ab"})
]
REQUESTS = [
    (method, path)
    for method in ("GET", "POST", "DELETE")
    for path in (
        "/",
        "/api/v1/jobs",
        "/api/v1/jobs/7f",
        "/api/v1/files/a",
        "/api/v1/resize",
        "/health/live",
        "/openapi.json",
    )
]

Path_: TypeAlias = tuple[str | int, ...]
LEFT_TO_A_CLUSTER = {
    r"(spec\.template\.)?metadata\.labels\..*": "names for people and selectors; here nothing is selected by them",
    r"spec\.template\.spec\.(serviceAccountName|automountServiceAccountToken|enableServiceLinks)": "Kubernetes' API",
    r"spec\.template\.spec\.containers\.0\.(name|image|ports\..*)": "the repository's own code, on any port",
    r"spec\.template\.spec\.containers\.0\.(resources|securityContext|volumeMounts)\..*": "the kubelet's",
    r"spec\.template\.spec\.volumes\..*": "the kubelet's; secrets are this machine's own",
    r"spec\.template\.spec\.containers\.0\.env\.\d+\.valueFrom\.secretKeyRef\..*": "this machine's own servers",
    r"spec\.config\.(apiVersion|kind)": "there is one kind",
    r"SinkBinding metadata\.name|HTTPRoute metadata\.(name|namespace)": "nothing refers to it by its name",
    r"HTTPRoute spec\.parentRefs\..*": "there is one gateway on this machine",
    r"HTTPRoute spec\.rules\.\d+\.backendRefs\..*": "a cluster's ingress; the function is in the rewritten host",
    r"HTTPRoute spec\.rules\.\d+\.timeouts\..*": "here only the function's own timeoutSeconds cuts",
    r"ReferenceGrant .*": "a cluster's permission",
}
"""By the field's path, with its kind where that matters; and why the local runtime has no use for it."""


def model(files: list[Path]) -> list[Any]:
    """All that instances, dispatchers, the gateway and the sweep are made from."""
    manifests = load(files)
    return [
        revisions(manifests, settings=SECRETS),
        bindings(manifests),
        list(_brokers(manifests)),
        list(_triggers(manifests)),
        list(_routes(manifests)),
        list(_pings(manifests)),
        [(each.namespace, each.name, each.data) for each in manifests.config_maps],
    ]


def _brokers(manifests: Manifests) -> Iterator[Any]:
    for broker in manifests.brokers:
        yield broker.namespace, broker.name, manifests.channel(broker)


def _triggers(manifests: Manifests) -> Iterator[Any]:
    for trigger in manifests.triggers:
        broker = next(b for b in manifests.brokers if (b.namespace, b.name) == (trigger.namespace, trigger.spec.broker))
        delivery = delivery_of(trigger, broker)
        yield trigger.namespace, trigger.name, with_namespace(trigger.spec.subscriber, trigger.namespace), delivery
        yield consumer_settings(delivery, manifests.channel(broker))
        yield [passes(trigger.spec, event) for event in EVENTS]


def _routes(manifests: Manifests) -> Iterator[Any]:
    table = RouteTable(manifests.routes)
    for method, path in REQUESTS:
        yield table.find(method=method, host="localhost", path=path, headers={})


def _pings(manifests: Manifests) -> Iterator[Any]:
    for source in manifests.ping_sources:
        event = ping_event(source, at=NOON)
        yield source.spec.schedule, replace(event, id=""), with_namespace(source.spec.sink, source.namespace)


# --- a field, changed ------------------------------------------------------------------------------------------------


def changed(value: Any) -> Any:
    """Another value of the same kind, so that what reads it takes it."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if number := re.search(r"\d+", value):
            return value[: number.start()] + str(int(number[0]) + 1) + value[number.end() :]
        case str() if value in _OTHERS:
            return _OTHERS[value]
        case _:
            return f"{value}-other"


_OTHERS = {
    "exponential": "linear",
    "Interest": "Limits",
    "File": "Memory",
    "New": "All",
    "POST": "GET",
    "Exact": "PathPrefix",
    "PathPrefix": "Exact",
    "on": "off",
    "/": "/other",
}


def leaves(node: Any, path: Path_ = ()) -> Iterator[Path_]:
    match node:
        case dict():
            for key, value in node.items():
                yield from leaves(value, (*path, key))
        case list():
            for index, value in enumerate(node):
                yield from leaves(value, (*path, index))
        case _:
            yield path


def with_change(node: Any, path: Path_, change: Callable[[Any], Any]) -> Any:
    made = copy.deepcopy(node)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = change(inner[path[-1]])
    return made


def fields(file: Path) -> Iterator[tuple[str, str]]:
    """Each field's path, and the file's text with this one changed."""
    documents = list(yaml.safe_load_all(file.read_text()))
    for number, document in enumerate(documents):
        for path in leaves(document):
            for name, made in _changes(document, path):
                text = yaml.safe_dump_all([*documents[:number], made, *documents[number + 1 :]])
                yield f"{document['kind']}/{document['metadata']['name']} {name}", text


def _changes(document: Any, path: Path_) -> Iterator[tuple[str, Any]]:
    name = ".".join(map(str, path))
    if path[-1] != "channel-template-spec":
        yield name, with_change(document, path, changed)
        return
    template = yaml.safe_load(document["data"]["channel-template-spec"])
    for inner in leaves(template):
        made = with_change(template, inner, changed)
        text = yaml.safe_dump(made)
        whole = copy.deepcopy(document)
        whole["data"]["channel-template-spec"] = text
        yield f"{name}: {'.'.join(map(str, inner))}", whole


def files_with(changed_file: Path, folder: Path, text: str) -> list[Path]:
    """The changed one, and what it refers to."""
    (folder / changed_file.name).write_text(text)
    others = {BASE / "settings.yaml", EVENTING / "broker.yaml"} - {changed_file}
    # A ConfigMap's values are seen in a Service.
    if changed_file == BASE / "settings.yaml":
        others.add(BASE / "resize.yaml")
    if changed_file.stem not in FUNCTIONS:
        stubs = (_STUB.format(name=name) for name in FUNCTIONS if BASE / f"{name}.yaml" not in others)
        (folder / "stubs.yaml").write_text("---".join(stubs))
        others.add(folder / "stubs.yaml")
    return [folder / changed_file.name, *sorted(others)]


@pytest.mark.parametrize("file", MODELLED, ids=lambda file: file.name)
def test_every_field_changes_what_the_runtime_does_or_is_known_to_be_a_clusters(file: Path, tmp_path: Path) -> None:
    before = model(files_with(file, tmp_path, file.read_text()))
    unread = []
    for name, text in fields(file):
        try:
            read = model(files_with(file, tmp_path, text)) != before
        except ManifestError:
            # It looked, and did not like it.
            read = True
        kind, field = name.split("/")[0], name.partition(" ")[2]
        known = any(re.fullmatch(each, field) or re.fullmatch(each, f"{kind} {field}") for each in LEFT_TO_A_CLUSTER)
        if not read and not known:
            unread.append(name)
    assert unread == []


def test_a_field_that_nobody_reads_is_found(tmp_path: Path) -> None:
    file = BASE / "sweep.yaml"
    before = model(files_with(file, tmp_path, file.read_text()))
    labels = [text for name, text in fields(file) if "labels" in name]
    assert labels
    for text in labels:
        assert model(files_with(file, tmp_path, text)) == before


# --- the ones that matter most, by name ------------------------------------------------------------------------------


def _revision(name: str) -> Callable[[list[Any]], Revision]:
    return lambda model_: next(each for each in model_[0] if each.service == name)


@pytest.mark.parametrize(
    ("file", "old", "new", "look", "expected"),
    [
        ("knative/base/resize.yaml", 'max-scale: "10"', 'max-scale: "7"', lambda r: r.scaling.max_scale, 7),
        ("knative/base/resize.yaml", 'min-scale: "0"', 'min-scale: "1"', lambda r: r.scaling.min_scale, 1),
        ("knative/base/resize.yaml", "window: 30s", "window: 45s", lambda r: r.scaling.window_s, 45.0),
        (
            "knative/base/resize.yaml",
            'utilization-percentage: "100"',
            'utilization-percentage: "80"',
            lambda r: r.scaling.target_utilization,
            0.8,
        ),
        (
            "knative/base/resize.yaml",
            "containerConcurrency: 2",
            "containerConcurrency: 3",
            lambda r: r.container_concurrency,
            3,
        ),
        ("knative/base/resize.yaml", "timeoutSeconds: 90", "timeoutSeconds: 75", lambda r: r.timeout_s, 75),
        ("knative/base/settings.yaml", "JOB_TIMEOUT: 30s", "JOB_TIMEOUT: 20s", lambda r: r.env["JOB_TIMEOUT"], "20s"),
    ],
)
def test_scaling_and_limits_of_a_function_are_those_of_its_yaml(
    file: str, old: str, new: str, look: Callable[[Revision], object], expected: object, tmp_path: Path
) -> None:
    text = (ROOT / file).read_text()
    assert text.count(old) == 1
    changed_model = model([*files_with(ROOT / file, tmp_path, text.replace(old, new))])
    assert look(_revision("resize")(changed_model)) == expected


@pytest.mark.parametrize(
    ("old", "new", "look", "expected"),
    [
        ("retry: 3", "retry: 5", lambda d, c: (d.retry, c.max_deliver), (5, 6)),
        (
            "backoffPolicy: exponential",
            "backoffPolicy: linear",
            lambda d, _: [d.backoff_s(n) for n in range(4)],
            [0, 1, 2, 3],
        ),
        ("backoffDelay: PT1S", "backoffDelay: PT3S", lambda d, _: d.backoff_s(1), 6.0),
        ("timeout: PT110S", "timeout: PT50S", lambda d, c: (d.timeout_s, c.ack_wait_s), (50.0, 50.5)),
    ],
)
def test_retries_are_those_of_the_triggers_yaml(
    old: str, new: str, look: Callable[[Any, Any], object], expected: object, tmp_path: Path
) -> None:
    file = BASE / "triggers.yaml"
    text = file.read_text()
    assert old in text
    triggers = model(files_with(file, tmp_path, text.replace(old, new, 1)))[3]
    delivery, settings = triggers[0][3], triggers[1]
    assert look(delivery, settings) == expected


@pytest.mark.parametrize(
    ("old", "new", "field", "expected"),
    [
        ("retention: Interest", "retention: Limits", "retention", "Limits"),
        ("maxAge: 168h", "maxAge: 24h", "max_age_s", 86_400.0),
        ("discard: New", "discard: Old", "discard", "Old"),
        ("duplicateWindow: 2m", "duplicateWindow: 5m", "duplicate_window_s", 300.0),
        ("deliverPolicy: New", "deliverPolicy: All", "deliver_policy", "All"),
        ("ackWait: 120s", "ackWait: 90s", "ack_wait_s", 90.0),
        ("maxAckPending: 40", "maxAckPending: 12", "max_ack_pending", 12),
        ("replicas: 1", "replicas: 3", "replicas", 3),
    ],
)
def test_the_stream_is_that_of_the_brokers_yaml(
    old: str, new: str, field: str, expected: object, tmp_path: Path
) -> None:
    file = EVENTING / "broker.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    ((_, _, channel),) = model(files_with(file, tmp_path, text.replace(old, new)))[2]
    assert getattr(channel, field) == expected


def test_the_sweep_comes_as_often_as_its_yaml_says(tmp_path: Path) -> None:
    file = BASE / "sweep.yaml"
    text = file.read_text().replace('"*/15 * * * * *"', '"*/5 * * * * *"')
    ((schedule, _, _),) = model(files_with(file, tmp_path, text))[5]
    assert schedule == "*/5 * * * * *"
