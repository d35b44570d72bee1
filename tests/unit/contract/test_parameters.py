from __future__ import annotations

from typing import Any

import pytest

from darkroom.contract.errors import ParametersInvalidError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.gravity import Compass, FocalPoint, Saliency
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import Fit, ResizeParameters
from darkroom.contract.parameters.values import Colour


def errors_of(job_type: str, fields: dict[str, Any], *, text: bool = False) -> dict[str, str]:
    with pytest.raises(ParametersInvalidError) as refused:
        job_type_named(job_type).parse(fields, text=text)
    return {error.field: error.message for error in refused.value.errors}


def test_defaults_are_those_of_the_contract() -> None:
    parameters = parse_parameters(ResizeParameters, {"width": 400})
    assert isinstance(parameters, ResizeParameters)
    assert (parameters.fit, parameters.enlarge, parameters.dpr) == (Fit.INSIDE, False, 1.0)
    assert (parameters.format, parameters.quality, parameters.metadata) == ("keep", None, "strip")
    assert parameters.gravity is Compass.CENTRE


def test_form_fields_are_text() -> None:
    fields = {"width": "400", "enlarge": "true", "dpr": "1.5", "gravity": '{"x":0.3,"y":0.7}', "fit": "cover"}
    parameters = parse_parameters(ResizeParameters, fields, text=True)
    assert parameters == ResizeParameters(
        width=400, enlarge=True, dpr=1.5, gravity=FocalPoint(x=0.3, y=0.7), fit=Fit.COVER
    )


def test_a_number_in_quotes_is_a_mistake_in_json() -> None:
    assert "width" in errors_of("resize", {"width": "400"})


def test_every_mistake_is_reported_at_once() -> None:
    errors = errors_of("resize", {"width": 0, "height": 9000, "colour": "red", "fit": "tight", "quality": 101})
    assert set(errors) == {"width", "height", "colour", "fit", "quality"}
    assert errors["colour"] == "unknown field"


@pytest.mark.parametrize(
    ("job_type", "fields", "said"),
    [
        ("resize", {}, "width or height is required"),
        ("crop", {"width": 10}, "width and height are both required unless aspect is given"),
        ("crop", {"width": 10, "height": 10, "x": 1}, "x and y go together"),
        ("crop", {"width": 10, "height": 10, "x": 1, "y": 1, "gravity": "north"}, "use either x and y, or gravity"),
        ("crop", {"aspect": "16:9", "width": 10, "height": 10}, "aspect goes with at most one of width and height"),
    ],
)
def test_what_belongs_together_is_checked_together(job_type: str, fields: dict[str, Any], said: str) -> None:
    assert said in errors_of(job_type, fields).values()


@pytest.mark.parametrize(
    ("job_type", "field", "value"),
    [
        ("resize", "width", 8193),
        ("resize", "width", 1.5),
        ("resize", "width", True),
        ("resize", "dpr", 0.9),
        ("resize", "dpr", 4.1),
        ("resize", "sharpen", 0.2),
        ("resize", "sharpen", 11),
        ("resize", "gravity", "up"),
        ("resize", "gravity", {"x": 1.1, "y": 0}),
        ("resize", "background", "red"),
        ("resize", "background", "#12345"),
        ("resize", "format", "tiff"),
        ("resize", "effort", 10),
        ("resize", "enlarge", "yes"),
        ("crop", "x", -1),
        ("crop", "aspect", "16/9"),
        ("crop", "aspect", "0:9"),
        ("crop", "bounds", "ignore"),
        ("crop", "fit", "cover"),
        ("resize", "x", 1),
    ],
)
def test_values_out_of_range_are_refused_by_name(job_type: str, field: str, value: Any) -> None:
    assert any(name.startswith(field) for name in errors_of(job_type, {"width": 10, "height": 10, field: value}))


def test_sharpen_off_is_no_sharpening() -> None:
    assert parse_parameters(ResizeParameters, {"width": 1, "sharpen": "off"}).sharpen is None


def test_gravity_may_look_at_the_pixels() -> None:
    assert parse_parameters(CropParameters, {"aspect": "1:1", "gravity": "attention"}).gravity is Saliency.ATTENTION


def test_an_aspect_is_a_ratio() -> None:
    parameters = parse_parameters(CropParameters, {"aspect": "16:9"})
    assert isinstance(parameters, CropParameters)
    assert parameters.ratio == (16, 9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#fff", Colour(red=255, green=255, blue=255)),
        ("#102030", Colour(red=16, green=32, blue=48)),
        ("#10203040", Colour(red=16, green=32, blue=48, alpha=64)),
        ("transparent", Colour(red=0, green=0, blue=0, alpha=0)),
    ],
)
def test_colours_are_read(text: str, expected: Colour) -> None:
    assert parse_parameters(ResizeParameters, {"width": 1, "background": text}).background_colour == expected


def test_long_values_are_cut_short_in_errors() -> None:
    with pytest.raises(ParametersInvalidError) as refused:
        parse_parameters(ResizeParameters, {"width": "9" * 100_000})
    assert len(str(refused.value.extensions())) < 1000
