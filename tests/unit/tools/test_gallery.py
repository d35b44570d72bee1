"""The page that shows every parameter is whole, and leaves none of them out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from darkroom.contract.parameters import Compass, CropParameters, Fit, Format, ResizeParameters, Saliency
from tools import gallery


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gallery.build(tmp_path_factory.mktemp("gallery"))


def test_every_picture_on_the_page_lies_beside_it(page: Path) -> None:
    names = re.findall(r'src="([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(names) > 80
    for name in names:
        assert (page.parent / name).stat().st_size > 0


def test_every_parameter_of_the_contract_has_its_place() -> None:
    shown = [(section.job, request) for section in gallery.sections() for request in section.requests]
    for job, model in (("resize", ResizeParameters), ("crop", CropParameters)):
        used = {name for kind, request in shown for name in request if kind == job}
        # What both have in common is shown with one of them.
        common = set(ResizeParameters.model_fields) & set(CropParameters.model_fields)
        assert set(model.model_fields) - common <= used
    assert set(ResizeParameters.model_fields) | set(CropParameters.model_fields) <= {
        name for _, request in shown for name in request
    }


@pytest.mark.parametrize(
    ("parameter", "values"), [("fit", set(Fit)), ("format", set(Format)), ("gravity", {*Compass, *Saliency})]
)
def test_every_value_of_a_choice_has_its_place(parameter: str, values: set[str]) -> None:
    requests = [request for section in gallery.sections() for request in section.requests]
    used = {request[parameter] for request in requests if isinstance(request.get(parameter), str)}
    assert values <= used


def test_only_the_crop_beyond_the_edge_is_refused(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count('class="refused"') == 1
    assert "crop.out_of_bounds" in text
