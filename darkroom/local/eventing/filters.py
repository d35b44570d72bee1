"""Trigger filters: the predicates of the CloudEvents Subscriptions API 1.0, and Knative's older filter.

By section 3.2.4 of the Subscriptions API, an absent attribute never matches, and values are compared in their canonical
string form.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

from darkroom.events.cloudevents import AttributeValue
from darkroom.manifests.eventing import FilterExpression, TriggerSpec


def attribute_texts(attributes: Mapping[str, AttributeValue]) -> dict[str, str]:
    """Convert CloudEvent.attributes() to the strings that `passes` compares, once for all Triggers of a Broker."""
    return {name: _text(value) for name, value in attributes.items()}


def passes(trigger: TriggerSpec, texts: Mapping[str, str]) -> bool:
    """Report whether an event passes a Trigger's filters. A Trigger without a filter accepts every event."""
    if trigger.filters:
        return all(_matches(expression, texts) for expression in trigger.filters)
    if trigger.filter is not None:
        return all(_equals_or_is_present(texts, name, value) for name, value in trigger.filter.attributes.items())
    return True


def why_not(trigger: TriggerSpec, texts: Mapping[str, str]) -> str:
    """Say which part of the filters an event does not match, and what it has instead; empty if it passes."""
    if trigger.filters:
        return next((why for each in trigger.filters if (why := _why_not(each, texts))), "")
    if trigger.filter is not None:
        failed = (
            _difference(texts, name, value, "filter", "is not")
            for name, value in trigger.filter.attributes.items()
            if not _equals_or_is_present(texts, name, value)
        )
        return next(failed, "")
    return ""


def only_type(trigger: TriggerSpec) -> str | None:
    """Return the only event type that can pass the filter; None if several can."""
    if trigger.filters:
        return _only_type_of_all(trigger.filters)
    if trigger.filter is not None:
        # An empty value only requires the attribute to be present, which the type always is.
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


def _equals_or_is_present(texts: Mapping[str, str], name: str, value: str) -> bool:
    return name in texts and value in ("", texts[name])


def _matches(expression: FilterExpression, texts: Mapping[str, str]) -> bool:
    """Evaluate an expression. It has exactly one dialect, which the manifests' models guarantee."""
    if expression.exact is not None:
        return all(texts.get(name) == value for name, value in expression.exact.items())
    if expression.prefix is not None:
        return all(name in texts and texts[name].startswith(value) for name, value in expression.prefix.items())
    if expression.suffix is not None:
        return all(name in texts and texts[name].endswith(value) for name, value in expression.suffix.items())
    if expression.all is not None:
        return all(_matches(nested, texts) for nested in expression.all)
    if expression.any is not None:
        return any(_matches(nested, texts) for nested in expression.any)
    if expression.not_ is not None:
        return not _matches(expression.not_, texts)
    raise ValueError("a filter expression without a dialect")


def _why_not(expression: FilterExpression, texts: Mapping[str, str]) -> str:
    """Explain why an expression does not match; empty if it does."""
    if _matches(expression, texts):
        return ""
    if expression.exact is not None:
        return _first_difference(expression.exact, texts, "exact", "is not")
    if expression.prefix is not None:
        return _first_difference(expression.prefix, texts, "prefix", "does not begin with")
    if expression.suffix is not None:
        return _first_difference(expression.suffix, texts, "suffix", "does not end with")
    if expression.all is not None:
        return next(why for nested in expression.all if (why := _why_not(nested, texts)))
    if expression.any is not None:
        return "nothing of any matches: " + "; ".join(_why_not(nested, texts) for nested in expression.any)
    if expression.not_ is not None:
        return f"it matches what must not match: {_described(expression.not_)}"
    raise ValueError("a filter expression without a dialect")


def _first_difference(wanted: Mapping[str, str], texts: Mapping[str, str], dialect: str, relation: str) -> str:
    compares: dict[str, Callable[[str, str], bool]] = {
        "exact": operator.eq,
        "prefix": str.startswith,
        "suffix": str.endswith,
    }
    matches = compares[dialect]
    name, value = next(
        (name, value) for name, value in wanted.items() if name not in texts or not matches(texts[name], value)
    )
    return _difference(texts, name, value, dialect, relation)


def _difference(texts: Mapping[str, str], name: str, value: str, dialect: str, relation: str) -> str:
    if name not in texts:
        return f"it has no {name}, which must be there ({dialect})"
    return f"{name} {texts[name]} {relation} {value} ({dialect})"


def _described(expression: FilterExpression) -> str:
    """Write an expression on one line, as in `exact type=a, source=b`."""
    for dialect in ("exact", "prefix", "suffix"):
        attributes: Mapping[str, str] | None = getattr(expression, dialect)
        if attributes is not None:
            return f"{dialect} {', '.join(f'{name}={value}' for name, value in attributes.items())}"
    for dialect in ("all", "any"):
        nested: Sequence[FilterExpression] | None = getattr(expression, dialect)
        if nested is not None:
            return f"{dialect} of ({'; '.join(map(_described, nested))})"
    return f"not ({_described(expression.not_)})" if expression.not_ is not None else ""
