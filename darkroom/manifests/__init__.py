"""Typed models of Knative YAML, the single source of truth about routing, scaling and retries.

This package reads the files and reports whether a cluster would accept them. The local runtime derives filters,
deliveries, routes and revisions from the models.
"""

from darkroom.manifests.channel import ChannelTemplate
from darkroom.manifests.core import ConfigMap
from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.eventing import Broker, Delivery, FilterExpression, PingSource, SinkBinding, Trigger
from darkroom.manifests.gateway import HTTPRoute
from darkroom.manifests.load import Manifests, load
from darkroom.manifests.model import Destination, Reference, with_namespace
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
    "with_namespace",
]
