from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.events.cloudevents import AttributeValue, CloudEvent
from darkroom.local.eventing.filters import attribute_texts, only_type, passes, why_not
from darkroom.manifests.eventing import TriggerSpec

EVENT = CloudEvent(
    id="1",
    source="/darkroom/ingest",
    type="dev.darkroom.resize.requested",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    extensions={"costclass": "heavy", "attempt": 3, "urgent": True},
)

Expression = dict[str, Any]


def spec(**fields: Any) -> TriggerSpec:
    return TriggerSpec.model_validate({"broker": "b", "subscriber": {"uri": "http://example.com"}, **fields})


TEXTS = attribute_texts(EVENT.attributes())


def takes(*expressions: Expression, event: CloudEvent = EVENT) -> bool:
    return passes(spec(filters=list(expressions)), attribute_texts(event.attributes()))


def test_a_trigger_without_a_filter_takes_everything() -> None:
    assert passes(spec(), TEXTS)
    assert passes(spec(filters=[], filter={}), TEXTS)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"exact": {"type": "dev.darkroom.resize.requested"}}, True),
        ({"exact": {"type": "dev.darkroom.crop.requested"}}, False),
        ({"exact": {"type": "dev.darkroom.resize"}}, False),
        ({"prefix": {"type": "dev.darkroom."}}, True),
        ({"prefix": {"type": "darkroom."}}, False),
        ({"suffix": {"type": ".requested"}}, True),
        ({"suffix": {"type": ".request"}}, False),
        ({"not": {"exact": {"costclass": "heavy"}}}, False),
        ({"not": {"exact": {"costclass": "light"}}}, True),
        ({"all": [{"exact": {"costclass": "heavy"}}, {"prefix": {"source": "/darkroom"}}]}, True),
        ({"all": [{"exact": {"costclass": "heavy"}}, {"prefix": {"source": "/other"}}]}, False),
        ({"any": [{"exact": {"costclass": "light"}}, {"prefix": {"source": "/darkroom"}}]}, True),
        ({"any": [{"exact": {"costclass": "light"}}, {"prefix": {"source": "/other"}}]}, False),
        ({"any": [{"all": [{"not": {"suffix": {"type": ".completed"}}}]}]}, True),
    ],
)
def test_each_dialect_decides_by_the_subscriptions_api(expression: Expression, expected: bool) -> None:
    assert takes(expression) is expected


def test_all_elements_of_filters_must_hold() -> None:
    holds: Expression = {"exact": {"costclass": "heavy"}}
    fails: Expression = {"exact": {"costclass": "light"}}
    assert takes(holds, holds)
    assert not takes(holds, fails)


@pytest.mark.parametrize("dialect", ["exact", "prefix", "suffix"])
def test_an_attribute_that_is_not_there_never_matches(dialect: str) -> None:
    assert not takes({dialect: {"subject": "x"}})
    assert takes({"not": {dialect: {"subject": "x"}}})


@pytest.mark.parametrize(
    ("name", "text"),
    [("attempt", "3"), ("urgent", "true"), ("time", "2026-01-01T00:00:00Z"), ("specversion", "1.0")],
)
def test_values_are_compared_in_their_canonical_string_form(name: str, text: str) -> None:
    assert takes({"exact": {name: text}})


def test_filter_attributes_must_all_be_equal() -> None:
    attributes = {"type": "dev.darkroom.resize.requested", "costclass": "heavy"}
    assert passes(spec(filter={"attributes": attributes}), TEXTS)
    assert not passes(spec(filter={"attributes": {**attributes, "costclass": "light"}}), TEXTS)


def test_an_empty_value_in_filter_attributes_means_that_the_attribute_is_there() -> None:
    assert passes(spec(filter={"attributes": {"costclass": ""}}), TEXTS)
    assert not passes(spec(filter={"attributes": {"subject": ""}}), TEXTS)


def test_filters_win_over_filter() -> None:
    both = spec(filter={"attributes": {"type": "another"}}, filters=[{"exact": {"costclass": "heavy"}}])
    assert passes(both, TEXTS)


_leaves = st.builds(
    lambda dialect, name, value: {dialect: {name: value}},
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.sampled_from(["type", "costclass", "subject"]),
    st.sampled_from(["heavy", "h", "y", "dev", "requested"]),
)
_expressions: st.SearchStrategy[Expression] = st.recursive(
    _leaves,
    lambda below: st.one_of(
        below.map(lambda expression: {"not": expression}),
        st.lists(below, min_size=1, max_size=3).map(lambda listed: {"all": listed}),
        st.lists(below, min_size=1, max_size=3).map(lambda listed: {"any": listed}),
    ),
    max_leaves=8,
)
_attributes: st.SearchStrategy[dict[str, AttributeValue]] = st.dictionaries(
    st.sampled_from(["type", "costclass", "subject"]), st.sampled_from(["heavy", "dev.requested", "", "y"])
)


@given(expression=_expressions, attributes=_attributes)
def test_negation_turns_every_expression_round(expression: Expression, attributes: dict[str, AttributeValue]) -> None:
    plain = passes(spec(filters=[expression]), attribute_texts(attributes))
    assert passes(spec(filters=[{"not": expression}]), attribute_texts(attributes)) is not plain


@given(one=_expressions, other=_expressions, attributes=_attributes)
def test_all_and_any_follow_de_morgan(
    one: Expression, other: Expression, attributes: dict[str, AttributeValue]
) -> None:
    not_all = passes(spec(filters=[{"not": {"all": [one, other]}}]), attribute_texts(attributes))
    assert not_all == passes(spec(filters=[{"any": [{"not": one}, {"not": other}]}]), attribute_texts(attributes))


@pytest.mark.parametrize(
    ("fields", "type"),
    [
        ({}, None),
        ({"filters": [{"exact": {"type": "t"}}]}, "t"),
        ({"filters": [{"not": {"exact": {"costclass": "heavy"}}}, {"exact": {"type": "t"}}]}, "t"),
        ({"filters": [{"all": [{"prefix": {"source": "/"}}, {"exact": {"type": "t"}}]}]}, "t"),
        ({"filters": [{"any": [{"exact": {"type": "t"}}]}]}, None),
        ({"filters": [{"not": {"exact": {"type": "t"}}}]}, None),
        ({"filters": [{"prefix": {"type": "t"}}]}, None),
        ({"filter": {"attributes": {"type": "t", "costclass": "heavy"}}}, "t"),
        ({"filter": {"attributes": {"type": ""}}}, None),
        ({"filter": {"attributes": {"type": "u"}}, "filters": [{"exact": {"type": "t"}}]}, "t"),
        ({"filter": {"attributes": {"type": "u"}}, "filters": [{"exact": {"costclass": "heavy"}}]}, None),
    ],
)
def test_the_one_type_of_a_filter_is_found(fields: dict[str, Any], type: str | None) -> None:
    assert only_type(spec(**fields)) == type


@given(expressions=st.lists(_expressions, max_size=3), attributes=_attributes)
def test_no_event_of_another_type_than_the_only_one_passes(
    expressions: list[Expression], attributes: dict[str, AttributeValue]
) -> None:
    trigger = spec(filters=expressions)
    if passes(trigger, attribute_texts(attributes)):
        assert only_type(trigger) in (None, attributes.get("type"))


# --- why not ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ({"exact": {"type": "a.b"}}, "type dev.darkroom.resize.requested is not a.b (exact)"),
        ({"exact": {"source": "/darkroom/ingest", "tier": "gold"}}, "it has no tier, which must be there (exact)"),
        ({"prefix": {"type": "shop."}}, "type dev.darkroom.resize.requested does not begin with shop. (prefix)"),
        ({"suffix": {"type": ".done"}}, "type dev.darkroom.resize.requested does not end with .done (suffix)"),
        ({"not": {"exact": {"costclass": "heavy"}}}, "it matches what must not match: exact costclass=heavy"),
        (
            {"not": {"any": [{"prefix": {"type": "dev."}}, {"exact": {"attempt": "1"}}]}},
            "it matches what must not match: any of (prefix type=dev.; exact attempt=1)",
        ),
        (
            {"all": [{"exact": {"costclass": "heavy"}}, {"exact": {"attempt": "4"}}]},
            "attempt 3 is not 4 (exact)",
        ),
        (
            {"any": [{"exact": {"attempt": "4"}}, {"suffix": {"source": "/x"}}]},
            "nothing of any matches: attempt 3 is not 4 (exact); source /darkroom/ingest does not end with /x (suffix)",
        ),
    ],
)
def test_a_filter_says_which_attribute_of_which_dialect_does_not_match(expression: Expression, reason: str) -> None:
    assert why_not(spec(filters=[expression]), TEXTS) == reason


def test_the_older_filter_says_it_too() -> None:
    assert why_not(spec(filter={"attributes": {"type": "a.b"}}), TEXTS) == (
        "type dev.darkroom.resize.requested is not a.b (filter)"
    )
    assert why_not(spec(filter={"attributes": {"tier": ""}}), TEXTS) == "it has no tier, which must be there (filter)"
    assert why_not(spec(filter={"attributes": {"costclass": ""}}), TEXTS) == ""


_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["type", "source", "tier"]), st.sampled_from(["a", "ab", "b"]), min_size=1
)
_EXPRESSIONS = st.recursive(
    st.builds(lambda dialect, wanted: {dialect: wanted}, st.sampled_from(["exact", "prefix", "suffix"]), _ATTRIBUTES),
    lambda nested: st.one_of(
        st.builds(lambda inner: {"not": inner}, nested),
        st.builds(
            lambda dialect, inner: {dialect: inner},
            st.sampled_from(["all", "any"]),
            st.lists(nested, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)


@given(expressions=st.lists(_EXPRESSIONS, max_size=3), texts=_ATTRIBUTES)
def test_there_is_a_reason_exactly_if_an_event_does_not_pass(
    expressions: list[Expression], texts: dict[str, str]
) -> None:
    trigger = spec(filters=expressions)
    assert (why_not(trigger, texts) == "") == passes(trigger, texts)
