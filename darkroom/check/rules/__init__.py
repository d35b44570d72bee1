"""The rules, one module a subject. Importing one enters its rules into `darkroom.check.rule.RULES`."""

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
]
