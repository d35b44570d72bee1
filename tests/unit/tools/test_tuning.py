"""docs/tuning.md: its pictures and its table are what the simulator says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests.platform.scaling import NAMES
from tools.tuning import PICTURES, Picture, drawn, with_answer

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "tuning.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_the_simulator_says(picture: Picture) -> None:
    assert (DOCS / "tuning" / picture.file).read_text(encoding="utf-8") == drawn(picture), "run `make reference`"
    assert f"(tuning/{picture.file})" in PAGE
    assert f"### {picture.name}" in PAGE


@pytest.mark.slow
def test_the_table_says_what_the_simulator_says() -> None:
    assert with_answer(PAGE) == PAGE, "run `make reference`"


def test_every_annotation_that_changes_a_simulation_has_its_picture() -> None:
    # initial-scale is for a deployment's first moment; the others choose another autoscaler or its network's path.
    elsewhere = {"class", "metric", "metric-aggregation-algorithm", "target-burst-capacity", "initial-scale", "target"}
    today = {name for name in NAMES if name.islower()}
    assert today - elsewhere - {picture.name for picture in PICTURES} == set()
