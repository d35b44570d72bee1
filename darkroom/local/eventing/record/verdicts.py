"""Which Triggers an event passed, and why not the others, by the Triggers that were in force. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.filters import attribute_texts, why_not
from darkroom.local.eventing.record.entries import TriggersKnown
from darkroom.manifests import Trigger
from darkroom.manifests.eventing import TriggerSpec


@dataclass(frozen=True, kw_only=True)
class Verdict:
    trigger: str
    """Namespace and name."""
    label: str
    subscriber: str
    why_not: str
    """Empty: the event passed."""


def describe(trigger: Trigger, *, label: str, broker: str, subscriber: str) -> Mapping[str, Any]:
    """Return what the record keeps of a Trigger."""
    spec = trigger.spec.model_dump(mode="json", by_alias=True, exclude_none=True, include={"filter", "filters"})
    return {
        "trigger": f"{trigger.namespace}/{trigger.name}",
        "label": label,
        "broker": broker,
        "subscriber": subscriber,
        **spec,
    }


def verdicts(event: CloudEvent, broker: str, known: TriggersKnown) -> Sequence[Verdict]:
    """Return the verdict of each of a Broker's Triggers."""
    texts = attribute_texts(event.attributes())
    return [
        Verdict(trigger=trigger, label=label, subscriber=subscriber, why_not=why_not(spec, texts))
        for trigger, label, subscriber, spec in _triggers_of(_Key(known), broker)
    ]


class _Key:
    """A set of Triggers as a key: by its digest alone."""

    def __init__(self, known: TriggersKnown) -> None:
        self.known = known

    def __hash__(self) -> int:
        return hash(self.known.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.known.digest == self.known.digest


@lru_cache(maxsize=64)
def _triggers_of(key: _Key, broker: str) -> Sequence[tuple[str, str, str, TriggerSpec]]:
    return [
        (each["trigger"], each["label"], each["subscriber"], _spec(each))
        for each in key.known.triggers
        if each["broker"] == broker
    ]


def _spec(described: Mapping[str, Any]) -> TriggerSpec:
    filters = {name: described[name] for name in ("filter", "filters") if name in described}
    return TriggerSpec.model_validate({"broker": "any", "subscriber": {"uri": "http://any"}, **filters})
