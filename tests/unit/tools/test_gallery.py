"""The page that shows every parameter is complete."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import pytest

from darkroom.contract.parameters.gravity import Compass, Saliency
from darkroom.contract.parameters.renditions import RENDITION_MODELS
from darkroom.contract.parameters.resize import Fit
from darkroom.contract.parameters.values import WRITTEN_FORMATS
from tools import gallery
from tools.gallery_sections import sections


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gallery.build(tmp_path_factory.mktemp("gallery"))


def test_every_picture_on_the_page_lies_beside_it(page: Path) -> None:
    names = re.findall(r'src="([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(names) > 80
    for name in names:
        assert (page.parent / name).stat().st_size > 0


def test_every_parameter_of_the_contract_has_its_place() -> None:
    shown = [(section.job, request) for section in sections() for request in section.requests]
    fields = {name: set(model.model_fields) for name, model in RENDITION_MODELS.items()}
    # Parameters that all job types share are shown with one of them.
    common = set.intersection(*fields.values())
    for job, names in fields.items():
        assert names - common <= {name for kind, request in shown for name in request if kind == job}
    assert common <= {name for _, request in shown for name in request}


@pytest.mark.parametrize(
    ("parameter", "values"), [("fit", set(Fit)), ("format", set(WRITTEN_FORMATS)), ("gravity", {*Compass, *Saliency})]
)
def test_every_value_of_a_choice_has_its_place(parameter: str, values: set[str]) -> None:
    requests = [request for section in sections() for request in section.requests]
    used = {request[parameter] for request in requests if isinstance(request.get(parameter), str)}
    assert values <= used


def test_the_page_says_what_each_parameter_means(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for model in RENDITION_MODELS.values():
        for name, field in model.model_fields.items():
            if name not in {"width", "height"}:
                assert f"<b>{name}</b>: {escape(field.description or '')}" in text


def test_only_the_crop_beyond_the_edge_is_refused(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count('class="refused"') == 1
    assert "crop.out_of_bounds" in text
