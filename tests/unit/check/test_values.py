"""Values at and beyond the bounds of Knative's webhooks, read in their source. Each case changes one line of a manifest
that a cluster accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import Severity, check_texts

WEBHOOKS = Path(__file__).parents[2] / "data" / "webhooks"
SERVICE, TRIGGER, PING = ((WEBHOOKS / name).read_text() for name in ("s-ok.yaml", "t-ok.yaml", "p-sched-5.yaml"))
CHANNEL, ROUTE = ((WEBHOOKS / name).read_text() for name in ("c-ok.yaml", "h-ok.yaml"))
BROKER = (WEBHOOKS / "b-class-typo.yaml").read_text().replace("MTChanel", "MTChannel")
BINDING = (WEBHOOKS / "sb-ce-bad.yaml").read_text().replace("Bad-Name", "name")
WINDOW = "autoscaling.knative.dev/window: 30s"
NAME = "        name: function"
MAX_SCALE = "autoscaling.knative.dev/max-scale: '10'"


def errors(text: str) -> list[str]:
    found = check_texts([(Path("a.yaml"), text)])
    return [str(each) for each in found if each.severity is Severity.ERROR]


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


ACCEPTED = [
    (SERVICE, "timeoutSeconds: 90", "timeoutSeconds: 0"),
    (SERVICE, "timeoutSeconds: 90", "timeoutSeconds: 600"),
    (SERVICE, "containerConcurrency: 2", "containerConcurrency: 0"),
    (SERVICE, "containerConcurrency: 2", "containerConcurrency: 1000"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/window: 1h"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/target: '0.01'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/target-burst-capacity: '-1'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/scale-to-zero-pod-retention-period: 1m30.5s"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/activation-scale: '2'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/metric: rps"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/class: my.autoscaler"),
    (SERVICE, MAX_SCALE, "autoscaling.knative.dev/maxScale: '10'"),
    (SERVICE, MAX_SCALE, "autoscaling.knative.dev/max-scale: '0'"),
    (SERVICE, "enableServiceLinks: false", "hostNetwork: false"),
    (SERVICE, "enableServiceLinks: false", "responseStartTimeoutSeconds: 60"),
    (SERVICE, "- containerPort: 8080", "- {containerPort: 8080, name: h2c}"),
    (SERVICE, "name: FUNCTION_TARGET", "name: K_SINK"),
    (SERVICE, "medium: Memory", "medium: ''"),
    (SERVICE, "dev.local/darkroom/resize:0.1.0", f"registry:5000/a/b@sha256:{'0' * 64}"),
    (TRIGGER, "retry: 3", "retry: 0"),
    (TRIGGER, "timeout: PT110S", "timeout: PT0.1S"),
    (TRIGGER, "timeout: PT110S", "timeout: P1D"),
    (TRIGGER, "backoffPolicy: exponential", "backoffPolicy: linear"),
    (TRIGGER, "retry: 3", "retry: 3\n    format: json"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- exact: {size: a, source: b}"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- cesql: \"size = 'large' AND NOT EXISTS a\""),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- {}"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/initialScale: '2'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/metric-aggregation-algorithm: weighted-exponential"),
    (SERVICE, WINDOW, "queue.sidecar.serving.knative.dev/cpu-resource-request: 100m"),
    (SERVICE, WINDOW, "example.com/checksum: '1'"),
    (SERVICE, "enableServiceLinks: false", "idleTimeoutSeconds: 30"),
    (SERVICE, "enableServiceLinks: false", "nodeSelector: {}"),
    (SERVICE, "- containerPort: 8080", "- {containerPort: 8080, name: http1}"),
    (SERVICE, "name: FUNCTION_TARGET", "name: K_ENV"),
    (SERVICE, "name: FUNCTION_TARGET", "name: 1-odd.name"),
    (SERVICE, "dev.local/darkroom/resize:0.1.0", "ko://example.com/cmd/resize"),
    (
        SERVICE,
        "        name: function",
        "        name: function\n        readinessProbe: {periodSeconds: 5, failureThreshold: 0}",
    ),
    (SERVICE, "spec:\n  template:", "spec:\n  traffic: [{latestRevision: true, percent: 100}]\n  template:"),
    (TRIGGER, "timeout: PT110S", "timeout: P1Y"),
    (TRIGGER, "timeout: PT110S", "timeout: PT1,5S"),
    (TRIGGER, "backoffDelay: PT1S", "backoffDelay: PT0S"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- {exact: {}, prefix: {size: a}}"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- any: [{all: [{suffix: {size: a}}]}]"),
    (TRIGGER, "  namespace: darkroom", "  namespace: darkroom\n  annotations: {argocd.argoproj.io/sync-wave: '1'}"),
    (PING, "schedule: '* * * * *'", "schedule: '*/20 * * * * *'"),
    (PING, "schedule: '* * * * *'", "schedule: 'TZ=Asia/Tokyo 0 9 * * MON-FRI'"),
    (PING, "schedule: '* * * * *'", "schedule: '@weekly'\n  timezone: UTC"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 */2 * */3'"),
    (PING, "data: '{\"sweep\": true}'", "data: 'null'"),
    (PING, "contentType: application/json\n  data: '{\"sweep\": true}'", "contentType: application/xml\n  data: <a/>"),
    (PING, "  schedule: '* * * * *'\n", ""),
    (PING, "schedule: '* * * * *'", "schedule: '@hourly'"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 ? * SUN'\n  timezone: Europe/Berlin"),
    (PING, "contentType: application/json\n  data: '{\"sweep\": true}'", "contentType: text/plain\n  data: nope"),
    (PING, "data: '{\"sweep\": true}'", "dataBase64: eyJhIjoxfQ=="),
    (CHANNEL, "maxAge: 168h", "maxAge: 1h30m"),
    (CHANNEL, "retention: Interest", "retention: interest"),
    (BROKER, "spec:\n", "spec:\n  delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S}\n"),
    (BINDING, "name: x", "Name: x"),
    (BINDING, "kind: Service\n    name: ingest", "kind: Service\n    selector: {matchLabels: {app: ingest}}"),
    (ROUTE, "request: 130s", "request: 1m30s"),
    (ROUTE, "value: /api/v1/jobs", "value: /api/v1/jobs%20"),
]
REFUSED = [
    (SERVICE, "timeoutSeconds: 90", "timeoutSeconds: -1"),
    (SERVICE, "timeoutSeconds: 90", "timeoutSeconds: '90'"),
    (SERVICE, "containerConcurrency: 2", "containerConcurrency: -1"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/window: 5s"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/window: 6500ms"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/window: '30'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/target: '0'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/target-burst-capacity: '-2'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/panic-window-percentage: '0.5'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/panic-threshold-percentage: '109'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/initial-scale: '0'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/activation-scale: '1'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/activation-scale: '11'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/scale-down-delay: 2h"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/metric: cpu"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/class: vpa.autoscaling.knative.dev"),
    (SERVICE, WINDOW, "networking.knative.dev/visibility: cluster-local"),
    (SERVICE, WINDOW, "serving.knative.dev/progress-deadline: 1.5s"),
    (SERVICE, MAX_SCALE, "autoscaling.knative.dev/max-scale: '-1'"),
    (SERVICE, MAX_SCALE, "autoscaling.knative.dev/max-scale: 10"),
    (SERVICE, MAX_SCALE, "autoscaling.knative.dev/maxScale: ten"),
    (SERVICE, "enableServiceLinks: false", "automountServiceAccountToken: true"),
    (SERVICE, "enableServiceLinks: false", "terminationGracePeriodSeconds: 30"),
    (SERVICE, "enableServiceLinks: false", "initContainers: [{image: a.b/c}]"),
    (SERVICE, "enableServiceLinks: false", "tolerations: [{key: a}]"),
    (SERVICE, "- containerPort: 8080", "- containerPort: 9090"),
    (SERVICE, "- containerPort: 8080", "- {containerPort: 8080, name: grpc}"),
    (SERVICE, "- containerPort: 8080", "- {containerPort: 8080, protocol: UDP}"),
    (SERVICE, "- containerPort: 8080", "- containerPort: 8080\n        - containerPort: 8081"),
    (SERVICE, "- containerPort: 8080", "- {containerPort: 8080, hostPort: 80}"),
    (SERVICE, "name: FUNCTION_TARGET", "name: PORT"),
    (SERVICE, "value: resize", "value: 1"),
    (SERVICE, "mountPath: /tmp", "mountPath: /dev"),
    (SERVICE, "mountPath: /tmp", "mountPath: tmp"),
    (SERVICE, "mountPath: /tmp", "mountPath: ''"),
    (SERVICE, "medium: Memory", "medium: Disk"),
    (SERVICE, "emptyDir:\n          medium: Memory\n          sizeLimit: 64Mi", "hostPath: {path: /}"),
    (SERVICE, "dev.local/darkroom/resize:0.1.0", "dev.local/Darkroom/resize:0.1.0"),
    (SERVICE, "runAsUser: 65532", "runAsUser: -1"),
    (SERVICE, "memory: 1Gi", "memory: 1GB"),
    (SERVICE, "- ALL", "- ALL\n            add: [NET_RAW]"),
    (SERVICE, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: 'true'"),
    (SERVICE, "        name: function", "        name: queue-proxy"),
    (SERVICE, "        name: function", "        name: function\n        readinessProbe: {timeoutSeconds: 1}"),
    (SERVICE, "        name: function", "        name: function\n        livenessProbe: {periodSeconds: 1}"),
    (SERVICE, "        name: function", "        name: function\n        lifecycle: {}"),
    (SERVICE, "  name: resize-e", "  name: 1resize"),
    (SERVICE, "spec:\n  template:", "spec:\n  traffic: [{latestRevision: true, percent: 50}]\n  template:"),
    (SERVICE, "spec:\n  template:\n    metadata:", "spec:\n  template:\n    metadata:\n      name: first"),
    (SERVICE, "serving.knative.dev/v1", "serving.knative.dev/v1beta1"),
    (TRIGGER, "retry: 3", "retry: '3'"),
    (TRIGGER, "retry: 3", "retries: 3"),
    (TRIGGER, "retry: 3", "retry: 3\n    retryAfterMax: PT1S"),
    (TRIGGER, "retry: 3", "retry: 3\n    format: xml"),
    (TRIGGER, "timeout: PT110S", "timeout: PT0.05S"),
    (TRIGGER, "timeout: PT110S", "timeout: 110s"),
    (TRIGGER, "backoffDelay: PT1S", "backoffDelay: PT"),
    (TRIGGER, "backoffPolicy: exponential", "backoffPolicy: Exponential"),
    (TRIGGER, "- exact:\n      type:", "- exact:\n      Type:"),
    (TRIGGER, "- exact:\n      type:", "- exact:\n      ce-type:"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- any: [{exact: {a: b}, suffix: {a: b}}]"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- not: {cesql: 'a ='}"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- sql: a = 'b'"),
    (
        TRIGGER,
        "    ref:\n      apiVersion: serving.knative.dev/v1\n      kind: Service\n      name: resize",
        "    uri: /x",
    ),
    (TRIGGER, "broker: darkroom", "broker: darkroom\n  brokerRef: {name: darkroom}"),
    (TRIGGER, "  namespace: darkroom", "  namespace: darkroom\n  annotations: {knative.dev/dependency: x}"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/scaleDownDelay: 61m"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/panic-threshold-percentage: '1001'"),
    (SERVICE, WINDOW, "autoscaling.knative.dev/scale-to-zero-pod-retention-period: 61m"),
    (SERVICE, WINDOW, "queue.sidecar.serving.knative.dev/resource-percentage: '0.01'"),
    (SERVICE, WINDOW, "queue.sidecar.serving.knative.dev/cpu-resource-limit: much"),
    (SERVICE, "enableServiceLinks: false", "dnsPolicy: None"),
    (SERVICE, "enableServiceLinks: false", "nodeName: a"),
    (SERVICE, "enableServiceLinks: false", "restartPolicy: Never"),
    (SERVICE, "- containerPort: 8080", "- containerPort: 70000"),
    (SERVICE, "name: FUNCTION_TARGET", "name: ''"),
    (SERVICE, "value: resize", "value: resize\n          valueFrom: {resourceFieldRef: {resource: limits.cpu}}"),
    (SERVICE, "        name: function", "        name: function\n        imagePullPolicy: always"),
    (SERVICE, "        name: function", "        name: function\n        tty: true"),
    (SERVICE, "        name: function", "        name: function\n        readinessProbe: {periodSeconds: -1}"),
    (
        SERVICE,
        "        name: function",
        "        name: function\n        startupProbe: {tcpSocket: {}, exec: {command: [a]}}",
    ),
    (SERVICE, "type: RuntimeDefault", "type: Default"),
    (
        SERVICE,
        "spec:\n  template:",
        "spec:\n  traffic: [{revisionName: a, latestRevision: true, percent: 100}]\n  template:",
    ),
    (SERVICE, "spec:\n  template:", "spec:\n  traffic: [{percent: 100, tag: A}]\n  template:"),
    (TRIGGER, "timeout: PT110S", "timeout: PT-1S"),
    (TRIGGER, "timeout: PT110S", "timeout: 1m"),
    (TRIGGER, "backoffPolicy: exponential", "backoffPolicy: jitter"),
    (TRIGGER, "- not:\n      exact:\n        costclass: heavy", "- not: {exact: {Size: a}}"),
    (TRIGGER, "broker: darkroom", "broker: ''"),
    (TRIGGER, "broker: darkroom", "brokers: darkroom"),
    (PING, "schedule: '* * * * *'", "schedule: 'TZ=Asia/Tokyo 0 9 * * *'\n  timezone: UTC"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 L * *'"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 * * 1#2'"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 15W * *'"),
    (PING, "schedule: '* * * * *'", "schedule: '0 0 * * * * *'"),
    (PING, "schedule: '* * * * *'", "schedule: '@every 1m'"),
    (PING, "schedule: '* * * * *'", "schedule: '* * * * 7'"),
    (PING, "schedule: '* * * * *'", "schedule: '* * * * *'\n  timezone: Berlin"),
    (PING, "data: '{\"sweep\": true}'", "data: '[1]'"),
    (PING, "data: '{\"sweep\": true}'", "data: '{\"sweep\": true}'\n  dataBase64: e30="),
    (PING, "data: '{\"sweep\": true}'", "dataBase64: e30"),
    (PING, "  sink:\n    ref:", "  sinks:\n    ref:"),
    (CHANNEL, "maxAge: 168h", "maxAge: 168"),
    (CHANNEL, "ackWait: 30s", "ackWait: 1d"),
    (CHANNEL, "maxAckPending: 4", "maxAckPending: '4'"),
    (CHANNEL, "retention: Interest", "retention: Interest\n      replicas: three"),
    (BROKER, "    name: darkroom-broker\n", ""),
    (BROKER, "spec:\n", "spec:\n  delivery: {retry: -1, backoffPolicy: linear, backoffDelay: PT1S}\n"),
    (BINDING, "    name: ingest", "    name: ingest\n    selector: {matchLabels: {a: b}}"),
    (BINDING, "    name: ingest", "    name: ingest\n    namespace: other"),
    (BINDING, "      kind: Broker\n", ""),
    (ROUTE, "value: /api/v1/jobs", "value: api/v1/jobs"),
    (ROUTE, "value: /api/v1/jobs", "value: /api//jobs"),
    (ROUTE, "      port: 80\n", ""),
    (ROUTE, "request: 130s", "request: 130"),
    (ROUTE, "request: 130s", "request: 130s\n      backendRequest: 131s"),
    (ROUTE, "type: URLRewrite", "type: RequestRedirect"),
    (ROUTE, "hostname: status.darkroom.svc.cluster.local", "hostname: Status_1"),
    (ROUTE, "  - name: darkroom\n", "  - name: darkroom\n  - name: darkroom\n"),
]


def named(case: tuple[str, str, str]) -> str:
    return " ".join(case[2].split())[-60:]


@pytest.mark.parametrize("case", ACCEPTED, ids=named)
def test_what_the_webhooks_accept_is_no_error(case: tuple[str, str, str]) -> None:
    assert errors(changed(*case)) == []


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_what_the_webhooks_refuse_is_an_error(case: tuple[str, str, str]) -> None:
    assert errors(changed(*case)) != []


@pytest.mark.parametrize("text", [SERVICE, TRIGGER, PING, CHANNEL, ROUTE, BROKER, BINDING])
def test_the_manifests_that_are_changed_are_accepted(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize("name", ["nme: resize", "name: ''", "name: 5", "namespace: default"])
def test_a_reference_without_a_usable_name_is_not_looked_up(name: str) -> None:
    """What is wrong is the name; "there is no Service 'None'" would be about another."""
    before, _, after = TRIGGER.rpartition("name: resize")
    wrong = before + name + after
    found = [str(each) for each in check_texts([(Path("a.yaml"), f"{SERVICE}---\n{wrong}")])]
    assert any("[destination]" in each or "[unknown-field]" in each or "[field-value]" in each for each in found)
    references = [each for each in found if "[missing-reference]" in each]
    assert [each for each in references if "'recovery'" not in each] == []


def test_a_manifest_without_a_name_is_called_so() -> None:
    unnamed = changed(changed(SERVICE, "  name: resize-e", "  nme: resize-e"), "resize:0.1.0", "resize")
    found = [str(each) for each in check_texts([(Path("a.yaml"), unnamed)])]
    assert any("did you mean" in each for each in found)
    assert any("Service without a name" in each for each in found)
    assert not [each for each in found if "None" in each]
