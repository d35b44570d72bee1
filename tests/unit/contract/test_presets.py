"""Presets, and what a request with one of them resolves to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from darkroom.contract.errors import ParametersInvalidError, PresetRequiredError, PresetUnknownError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.contract.presets import Presets, PresetsInvalidError, parse_presets
from darkroom.contract.requests import RequestRules, Resolved

DOCUMENT: dict[str, Any] = {
    "thumb": {"type": "resize", "parameters": {"width": 200, "format": "webp"}},
    "face": {"type": "crop", "parameters": {"aspect": "1:1", "gravity": "attention"}},
}
PRESETS = parse_presets(DOCUMENT)
RULES = RequestRules(presets=PRESETS)
ONLY = RequestRules(presets=PRESETS, presets_only=True)


def resolved(rules: RequestRules, job_type: str, fields: dict[str, Any], **more: Any) -> Resolved:
    return rules.resolve(job_type_named(job_type), fields, **more)


def parameters(found: Resolved) -> dict[str, Any]:
    return canonical_parameters(found.parameters)


def test_a_digest_changes_with_the_content_and_with_nothing_else() -> None:
    same = parse_presets({"t": {"parameters": {"format": "webp", "width": 200.0}, "type": "resize"}})
    other = parse_presets({"thumb": {"type": "resize", "parameters": {"width": 201, "format": "webp"}}})
    assert same.named("t").digest == PRESETS.named("thumb").digest
    assert other.named("thumb").digest != PRESETS.named("thumb").digest


def test_every_mistake_of_a_file_is_named() -> None:
    with pytest.raises(PresetsInvalidError) as refused:
        parse_presets(
            {
                "thumb": {"type": "resize", "parameters": {"wdth": 200}},
                "Two Words": {"type": "resize", "parameters": {"width": 1}},
                "blur": {"type": "blur", "parameters": {}},
                "bare": {"width": 3},
                "empty": {"type": "resize", "parameters": {}},
                "listed": {"type": "crop", "parameters": [1]},
            }
        )
    assert [mistake.field for mistake in refused.value.mistakes] == [
        "thumb.parameters.wdth",
        "Two Words",
        "blur.type",
        "bare",
        "empty.parameters",
        "listed.parameters",
    ]


@pytest.mark.parametrize("document", [[], "thumb", 3])
def test_a_document_that_has_no_names_is_refused(document: Any) -> None:
    with pytest.raises(PresetsInvalidError):
        parse_presets(document)


def test_an_empty_file_has_no_presets() -> None:
    assert len(parse_presets(None)) == 0


def test_a_preset_stands_in_the_place_of_parameters_and_others_override_it() -> None:
    plain = resolved(RULES, "resize", {}, preset="thumb")
    assert parameters(plain) == DOCUMENT["thumb"]["parameters"]
    assert plain.presets[""] == PRESETS.named("thumb").use
    text = resolved(RULES, "resize", {"width": "90"}, preset="thumb", text=True)
    assert parameters(text) == {"width": 90, "format": "webp"}


def test_an_unknown_preset_gets_the_nearest_name() -> None:
    with pytest.raises(PresetUnknownError, match="no preset 'thum'; did you mean 'thumb'"):
        resolved(RULES, "resize", {}, preset="thum")
    with pytest.raises(PresetUnknownError, match="PRESETS_FILE"):
        resolved(RequestRules(presets=Presets()), "resize", {}, preset="thumb")


def test_a_preset_of_another_type_is_refused() -> None:
    with pytest.raises(ParametersInvalidError, match="'face' is for crop, not for resize"):
        resolved(RULES, "resize", {}, preset="face")


def test_where_only_presets_are_made_parameters_are_refused_without_one_and_beside_one() -> None:
    assert parameters(resolved(ONLY, "resize", {}, preset="thumb"))["width"] == 200
    with pytest.raises(PresetRequiredError, match="name one of thumb, face"):
        resolved(ONLY, "resize", {"width": 3})
    with pytest.raises(PresetRequiredError, match="width cannot be given beside 'thumb'"):
        resolved(ONLY, "resize", {"width": 3}, preset="thumb")
    with pytest.raises(PresetRequiredError):
        resolved(ONLY, "renditions", {"renditions": {"a": {"type": "resize", "parameters": {"width": 3}}}})
    with pytest.raises(PresetRequiredError):
        resolved(ONLY, "renditions", {"renditions": {"a": {"preset": "thumb", "parameters": {"width": 3}}}})


def test_renditions_are_resolved_each_by_itself() -> None:
    asked = {
        "small": {"preset": "thumb", "parameters": {"width": 90}},
        "hero": {"type": "resize", "parameters": {"width": 1600.0}},
    }
    found = resolved(RULES, "renditions", {"renditions": asked})
    assert parameters(found) == {
        "renditions": {
            "small": {"type": "resize", "parameters": {"width": 90, "format": "webp"}},
            "hero": {"type": "resize", "parameters": {"width": 1600}},
        }
    }
    assert dict(found.presets) == {"small": PRESETS.named("thumb").use}
    # What a record keeps is parsed again by the functions, to the same.
    assert canonical_parameters(job_type_named("renditions").parse(parameters(found))) == parameters(found)


def test_a_list_of_presets_makes_a_rendition_of_each_beside_those_of_the_field() -> None:
    field = json.dumps({"renditions": {"hero": {"type": "resize", "parameters": {"width": 9}}}})
    found = resolved(RULES, "renditions", {"renditions": field}, preset="thumb, face", text=True)
    assert list(parameters(found)["renditions"]) == ["hero", "thumb", "face"]


REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({}, None, "1 to 32"),
    ({"renditions": {}}, None, "1 to 32"),
    ({"renditions": {f"a{n}": {"preset": "thumb"} for n in range(33)}}, None, "has 33"),
    ({"renditions": {"Big": {"preset": "thumb"}}}, None, "renditions.Big: a rendition's name"),
    ({"renditions": {"a": {"type": "resize"}}}, None, "renditions.a.parameters: must be an object"),
    ({"renditions": {"a": {"parameters": {"width": 1}}}}, None, "renditions.a.type: must be resize or crop"),
    ({"renditions": {"a": {"type": "blur", "parameters": {}}}}, None, "renditions.a.type"),
    ({"renditions": {"a": {"type": "crop", "preset": "thumb"}}}, None, "the preset 'thumb' is for resize"),
    ({"renditions": {"a": {"preset": 3}}}, None, "renditions.a.preset"),
    ({"renditions": {"a": {"preset": "thumb", "width": 3}}}, None, "renditions.a.width: unknown field"),
    ({"renditions": {"a": "thumb"}}, None, "renditions.a: must be an object"),
    ({"renditions": {"a": {"type": "resize", "parameters": {"widht": 3}}}}, None, "renditions.a.parameters.widht"),
    ({"renditions": []}, None, "renditions: must be an object"),
    ({"renditions": {"thumb": {"preset": "thumb"}}}, "thumb", "the name of two renditions"),
    ({"width": 3}, "thumb", "width: unknown field"),
    ({}, "thumb,thumb", "given more than once"),
]


@pytest.mark.parametrize(("fields", "preset", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_renditions_that_cannot_be_are_refused_with_the_field(
    fields: dict[str, Any], preset: str | None, words: str
) -> None:
    with pytest.raises(ParametersInvalidError) as refused:
        resolved(RULES, "renditions", fields, preset=preset)
    assert words in refused.value.detail


def test_the_mistakes_of_all_renditions_are_reported_together() -> None:
    asked = {name: {"type": "resize", "parameters": {"width": 0}} for name in ("a", "b")}
    with pytest.raises(ParametersInvalidError) as refused:
        resolved(RULES, "renditions", {"renditions": asked})
    assert [error.field for error in refused.value.errors] == [
        "renditions.a.parameters.width",
        "renditions.b.parameters.width",
    ]


def test_a_rendition_that_is_named_like_its_type_has_its_name_in_errors() -> None:
    asked = {"crop": {"type": "crop", "parameters": {"aspect": "wide"}}}
    with pytest.raises(ParametersInvalidError, match=r"renditions\.crop\.parameters\.aspect"):
        job_type_named("renditions").parse({"renditions": asked})
