"""Versions and kinds that no cluster serves, and ServiceAccounts that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import Severity, check_texts


def messages(text: str, rule: str) -> list[str]:
    return [each.message for each in check_texts([(Path("a.yaml"), text)]) if each.rule == rule]


@pytest.mark.parametrize(
    ("version", "kind", "part"),
    [
        ("serving.knative.dev/v1alpha1", "Service", "serving.knative.dev/v1,"),
        ("serving.knative.dev/v1alpha1", "DomainMapping", "serving.knative.dev/v1beta1,"),
        ("eventing.knative.dev/v1beta1", "Trigger", "eventing.knative.dev/v1,"),
        ("messaging.knative.dev/v1beta1", "InMemoryChannel", "messaging.knative.dev/v1,"),
        ("flows.knative.dev/v1beta1", "Sequence", "flows.knative.dev/v1,"),
        ("messaging.knative.dev/v1beta1", "Parallel", "belongs to flows.knative.dev"),
        ("sources.knative.dev/v1beta1", "PingSource", "sources.knative.dev/v1 "),
        ("sources.eventing.knative.dev/v1alpha1", "CronJobSource", "PingSource"),
        ("eventing.knative.dev/v1", "Triger", 'did you mean "Trigger"?'),
        ("serving.knative.dev/v1", "Trigger", "belongs to eventing.knative.dev"),
        ("extensions/v1beta1", "Ingress", "use networking.k8s.io/v1"),
        ("extensions/v1beta1", "Deployment", "use apps/v1"),
        ("apps/v1beta2", "StatefulSet", "use apps/v1"),
        ("batch/v1beta1", "CronJob", "use batch/v1"),
        ("policy/v1beta1", "PodDisruptionBudget", "use policy/v1"),
        ("policy/v1beta1", "PodSecurityPolicy", "nothing replaces it"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "use autoscaling/v2"),
        ("rbac.authorization.k8s.io/v1beta1", "Role", "use rbac.authorization.k8s.io/v1"),
    ],
)
def test_a_version_that_is_gone_is_an_error_that_names_the_next(version: str, kind: str, part: str) -> None:
    (message,) = messages(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n", "api-version")
    assert part in message


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("sources.knative.dev/v1alpha1", "GitHubSource"),
        ("sources.knative.dev/v1beta1", "KafkaSource"),
        ("bindings.knative.dev/v1beta1", "KafkaBinding"),
        ("sources.knative.dev/v1", "RedisStreamSource"),
        ("messaging.knative.dev/v1beta1", "KafkaChannel"),
        ("networking.internal.knative.dev/v1alpha1", "Ingress"),
        ("operator.knative.dev/v1beta1", "KnativeServing"),
        ("apps/v1", "Deployment"),
        ("example.com/v1", "Trigger"),
        ("batch/v1", "CronJob"),
    ],
)
def test_a_kind_of_somebody_else_is_left_alone(version: str, kind: str) -> None:
    assert messages(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n", "api-version") == []


SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize, namespace: n}
spec: {template: {spec: {serviceAccountName: resizer, containers: [{image: "example.com/resize:1.0.0"}]}}}
"""
ACCOUNT = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n"


def test_a_service_account_that_is_not_there_is_a_warning() -> None:
    findings = check_texts([(Path("a.yaml"), SERVICE)])
    (finding,) = (each for each in findings if each.rule == "missing-service-account")
    assert finding.severity is Severity.WARNING
    assert "'resizer' in the namespace 'n'" in finding.message


def test_a_service_account_of_another_name_is_suggested() -> None:
    (message,) = messages(SERVICE + ACCOUNT % ("resize", "n"), "missing-service-account")
    assert 'did you mean "resize"?' in message


def test_a_service_account_of_another_namespace_does_not_count() -> None:
    assert messages(SERVICE + ACCOUNT % ("resizer", "other"), "missing-service-account")


@pytest.mark.parametrize("text", [SERVICE + ACCOUNT % ("resizer", "n"), SERVICE.replace("resizer", "default")])
def test_a_service_account_that_is_there_is_not_missed(text: str) -> None:
    assert messages(text, "missing-service-account") == []
