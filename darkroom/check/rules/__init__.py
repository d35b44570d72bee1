"""The rules, one module per subject. Importing a module registers its rules in `darkroom.check.rule.RULES`."""

from darkroom.check.rules import (
    autoscaling,
    channel,
    containers,
    delivery,
    destinations,
    events,
    fields,
    filters,
    network,
    pods,
    references,
    routes,
    serving,
    sources,
    timing,
    workers,
)

__all__ = [
    "autoscaling",
    "channel",
    "containers",
    "delivery",
    "destinations",
    "events",
    "fields",
    "filters",
    "network",
    "pods",
    "references",
    "routes",
    "serving",
    "sources",
    "timing",
    "workers",
]
