"""Whether a Trigger takes an event: the predicates of CloudEvents' Subscriptions API 1.0, and Knative's older filter.

Section 3.2.4 of the Subscriptions API: an attribute that is not there never matches; values are compared in their
canonical string form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from darkroom.events.cloudevents import AttributeValue
from darkroom.manifests.eventing import FilterExpression, TriggerSpec


def texts_of(attributes: Mapping[str, AttributeValue]) -> dict[str, str]:
    """Of CloudEvent.attributes(): what `passes` compares. The same for every Trigger of a Broker."""
    return {name: _text(value) for name, value in attributes.items()}


def passes(trigger: TriggerSpec, texts: Mapping[str, str]) -> bool:
    """A Trigger without a filter takes everything."""
    if trigger.filters:
        return all(_holds(expression, texts) for expression in trigger.filters)
    if trigger.filter is not None:
        return all(_equals_or_is_there(texts, name, value) for name, value in trigger.filter.attributes.items())
    return True


def only_type(trigger: TriggerSpec) -> str | None:
    """The one type of event that can pass, where the filter names one; None where several may."""
    if trigger.filters:
        return _only_type_of_all(trigger.filters)
    if trigger.filter is not None:
        # An empty value asks that the attribute be there, which a type always is.
        return trigger.filter.attributes.get("type") or None
    return None


def _only_type_of_all(expressions: Sequence[FilterExpression]) -> str | None:
    for expression in expressions:
        if expression.exact is not None and "type" in expression.exact:
            return expression.exact["type"]
        if expression.all is not None and (found := _only_type_of_all(expression.all)) is not None:
            return found
    return None


def _text(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _equals_or_is_there(texts: Mapping[str, str], name: str, value: str) -> bool:
    return name in texts and value in ("", texts[name])


def _holds(expression: FilterExpression, texts: Mapping[str, str]) -> bool:
    """One dialect: the manifests hold no expression with several, or none."""
    if expression.exact is not None:
        return all(texts.get(name) == value for name, value in expression.exact.items())
    if expression.prefix is not None:
        return all(name in texts and texts[name].startswith(value) for name, value in expression.prefix.items())
    if expression.suffix is not None:
        return all(name in texts and texts[name].endswith(value) for name, value in expression.suffix.items())
    if expression.all is not None:
        return all(_holds(below, texts) for below in expression.all)
    if expression.any is not None:
        return any(_holds(below, texts) for below in expression.any)
    if expression.not_ is not None:
        return not _holds(expression.not_, texts)
    raise ValueError("a filter expression without a dialect")
