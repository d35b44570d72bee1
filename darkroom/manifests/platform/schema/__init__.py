"""The fields of the kinds that the linter knows, with their types and bounds, as a cluster's API server validates them.

The tables were written from the types and CustomResourceDefinitions of Knative Serving, Knative Eventing,
eventing-natss and the Gateway API of mid-2026. A test compares them with the definitions themselves. A check that
involves more than one field is a rule.
"""

from darkroom.manifests.platform.schema.eventing import (
    API_SERVER_SOURCE,
    BROKER,
    CHANNEL,
    PARALLEL,
    PING_SOURCE,
    SEQUENCE,
    SINK_BINDING,
    SUBSCRIPTION,
    TRIGGER,
)
from darkroom.manifests.platform.schema.gateway import HTTP_ROUTE
from darkroom.manifests.platform.schema.jetstream import JETSTREAM_CHANNEL
from darkroom.manifests.platform.schema.serving import DOMAIN_MAPPING, SERVICE
from darkroom.manifests.platform.schema.shape import Fault, Shape, faults

SPECS: dict[tuple[str, str], Shape] = {
    ("serving.knative.dev/v1", "Service"): SERVICE,
    ("serving.knative.dev/v1beta1", "DomainMapping"): DOMAIN_MAPPING,
    ("eventing.knative.dev/v1", "Broker"): BROKER,
    ("eventing.knative.dev/v1", "Trigger"): TRIGGER,
    ("messaging.knative.dev/v1", "Channel"): CHANNEL,
    ("messaging.knative.dev/v1", "Subscription"): SUBSCRIPTION,
    ("messaging.knative.dev/v1alpha1", "NatsJetStreamChannel"): JETSTREAM_CHANNEL,
    ("flows.knative.dev/v1", "Sequence"): SEQUENCE,
    ("flows.knative.dev/v1", "Parallel"): PARALLEL,
    ("sources.knative.dev/v1", "ApiServerSource"): API_SERVER_SOURCE,
    ("sources.knative.dev/v1", "PingSource"): PING_SOURCE,
    ("sources.knative.dev/v1beta2", "PingSource"): PING_SOURCE,
    ("sources.knative.dev/v1", "SinkBinding"): SINK_BINDING,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTP_ROUTE,
    ("gateway.networking.k8s.io/v1beta1", "HTTPRoute"): HTTP_ROUTE,
}
"""The shape of `spec`, by apiVersion and kind."""

SERVED: dict[tuple[str, str], tuple[str, ...]] = {
    ("serving.knative.dev", "Service"): ("v1",),
    ("serving.knative.dev", "Configuration"): ("v1",),
    ("serving.knative.dev", "Revision"): ("v1",),
    ("serving.knative.dev", "Route"): ("v1",),
    ("serving.knative.dev", "DomainMapping"): ("v1beta1",),
    ("eventing.knative.dev", "Broker"): ("v1",),
    ("eventing.knative.dev", "Trigger"): ("v1",),
    ("eventing.knative.dev", "EventType"): ("v1beta1", "v1beta2", "v1beta3"),
    ("eventing.knative.dev", "EventPolicy"): ("v1alpha1",),
    ("eventing.knative.dev", "EventTransform"): ("v1alpha1",),
    ("eventing.knative.dev", "RequestReply"): ("v1alpha1",),
    ("messaging.knative.dev", "Channel"): ("v1",),
    ("messaging.knative.dev", "Subscription"): ("v1",),
    ("messaging.knative.dev", "InMemoryChannel"): ("v1",),
    ("messaging.knative.dev", "NatsJetStreamChannel"): ("v1alpha1",),
    ("flows.knative.dev", "Sequence"): ("v1",),
    ("flows.knative.dev", "Parallel"): ("v1",),
    ("sources.knative.dev", "PingSource"): ("v1", "v1beta2"),
    ("sources.knative.dev", "SinkBinding"): ("v1",),
    ("sources.knative.dev", "ApiServerSource"): ("v1",),
    ("sources.knative.dev", "ContainerSource"): ("v1",),
    ("sources.knative.dev", "IntegrationSource"): ("v1alpha1",),
    ("sinks.knative.dev", "IntegrationSink"): ("v1alpha1",),
    ("sinks.knative.dev", "JobSink"): ("v1alpha1",),
    ("gateway.networking.k8s.io", "Gateway"): ("v1", "v1beta1"),
    ("gateway.networking.k8s.io", "HTTPRoute"): ("v1", "v1beta1"),
}
"""The versions that clusters of mid-2026 serve, by group and kind. Other projects' kinds are not checked."""

__all__ = ["SERVED", "SPECS", "Fault", "Shape", "faults"]
