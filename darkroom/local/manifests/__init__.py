"""The YAML of `knative/` and `nats-eventing/` as typed models: the single truth about routing, scaling and retries.

Here is what the files say and whether a cluster would take them. What follows from it (filters, deliveries, routes,
revisions) is worked out by the pure modules beside this package.
"""

from darkroom.local.manifests.channel import ChannelTemplate
from darkroom.local.manifests.core import ConfigMap
from darkroom.local.manifests.errors import Finding, ManifestError
from darkroom.local.manifests.eventing import Broker, Delivery, FilterExpression, PingSource, SinkBinding, Trigger
from darkroom.local.manifests.gateway import HTTPRoute
from darkroom.local.manifests.load import Manifests, load
from darkroom.local.manifests.model import Destination, Reference, resolved
from darkroom.local.manifests.serving import Service

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
