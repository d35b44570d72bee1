"""The YAML of `knative/` and `nats-eventing/` as typed models: the single truth about routing, scaling and retries.

Here is what the files say and whether a cluster would take them. What follows from it (filters, deliveries, routes,
revisions) is worked out by the pure modules beside this package.
"""

from darkroom.manifests.channel import ChannelTemplate
from darkroom.manifests.core import ConfigMap
from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.eventing import Broker, Delivery, FilterExpression, PingSource, SinkBinding, Trigger
from darkroom.manifests.gateway import HTTPRoute
from darkroom.manifests.load import Manifests, load
from darkroom.manifests.model import Destination, Reference, resolved
from darkroom.manifests.serving import Service

__all__ = [
    "Broker",
    "ChannelTemplate",
    "ConfigMap",
    "Delivery",
    "Destination",
    "FilterExpression",
    "Finding",
    "HTTPRoute",
    "ManifestError",
    "Manifests",
    "PingSource",
    "Reference",
    "Service",
    "SinkBinding",
    "Trigger",
    "load",
    "resolved",
]
