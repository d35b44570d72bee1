"""The rules, one module a subject. Importing one enters its rules into `darkroom.check.rule.RULES`."""

from darkroom.check.rules import channel, delivery, events, network, pods, references, serving, timing

__all__ = ["channel", "delivery", "events", "network", "pods", "references", "serving", "timing"]
