"""The rules, one module per subject. Importing a module registers its rules in `platform.rule.RULES`."""

from darkroom.manifests.platform.rule import RULES
from darkroom.manifests.platform.rules import (
    autoscaling,
    channel,
    containers,
    delivery,
    destinations,
    events,
    fields,
    filters,
    identity,
    network,
    pods,
    reading,
    references,
    routes,
    serving,
    sources,
    timing,
)

__all__ = [
    "RULES",
    "autoscaling",
    "channel",
    "containers",
    "delivery",
    "destinations",
    "events",
    "fields",
    "filters",
    "identity",
    "network",
    "pods",
    "reading",
    "references",
    "routes",
    "serving",
    "sources",
    "timing",
]
