"""Renditions that share a decode are as near to a full decode with Lanczos as those of jobs of their own."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from darkroom.imaging import RenditionRequest
from darkroom.imaging.photograph import make_photograph
from tests.unit.imaging import drawings
from tests.unit.imaging.drawings import body_of, by_lanczos, decoded
from tests.unit.imaging.pixels import psnr_db
from tests.unit.imaging.rendition_requests import by_itself, crop, rendered, resize

MOST_LOST_DB = 0.5


def photograph(side: int) -> Image.Image:
    return Image.open(BytesIO(make_photograph(side, side * 3 // 4))).convert("RGB")


def clouds(side: int) -> Image.Image:
    return drawings.clouds(side + 1, side - 1)


DRAWN: list[Callable[[int], Image.Image]] = [photograph, drawings.text_page, drawings.zone_plate, clouds]
WIDTHS = [480, 240, 239, 200, 120, 60, 25]


def lost_db(body: bytes, seen: bytes, request: RenditionRequest) -> float:
    wanted = by_itself(body, request).body
    height, width, _ = decoded(wanted).shape
    reference = by_lanczos(body, width, height)
    return psnr_db(decoded(wanted), reference) - psnr_db(decoded(seen), reference)


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize(
    ("source", "format"), [("JPEG", "jpeg"), ("JPEG", "webp"), ("JPEG", "png"), ("WEBP", "jpeg"), ("PNG", "jpeg")]
)
def test_no_rendition_is_further_from_lanczos_than_by_a_job_of_its_own(
    source: str, format: str, draw: Callable[[int], Image.Image]
) -> None:
    options: dict[str, Any] = {} if source == "PNG" else {"quality": 90}
    body = body_of(draw(800), source, **options)
    requests = [resize(f"w{width}", width=width, format=format) for width in WIDTHS]
    made = rendered(body, *requests)
    lost = {one.name: lost_db(body, made[one.name].body, one) for one in requests}
    assert max(lost.values()) <= MOST_LOST_DB, lost


@pytest.mark.parametrize("draw", DRAWN)
def test_a_part_is_as_near_to_the_picture_as_by_a_job_of_its_own(draw: Callable[[int], Image.Image]) -> None:
    body = body_of(draw(800), "JPEG", quality=90)
    request = crop("part", x=101, y=67, width=400, height=300)
    seen = rendered(body, resize("large", width=480), resize("small", width=100), request)["part"]
    assert seen.body == by_itself(body, request).body
