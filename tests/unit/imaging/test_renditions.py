"""Several renditions from one picture are those that jobs of their own make, in any order, and fail one by one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.contract.errors import (
    CropOutOfBoundsError,
    ImageTruncatedError,
    InputUnsupportedError,
    ParametersInvalidError,
    ResultTooLargeError,
)
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Rendition, RenditionRequest, probe, render_all, vips
from darkroom.imaging.finishing import finish
from darkroom.imaging.photograph import make_photograph, photograph
from tests import pictures
from tests.unit.imaging import drawings
from tests.unit.imaging.pixels import opened, psnr_db, samples
from tests.unit.imaging.rendition_requests import LIMITS, by_itself, crop, five, outcomes, rendered, resize

PHOTOGRAPH = make_photograph(800, 600)
TWELVE_MEGAPIXELS = pictures.encoded(pictures.plain(4000, 3000), Format.JPEG)
STAMP = pictures.encoded(pictures.plain(40, 20), Format.PNG)


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list to which each decode adds the step by which it shrinks."""
    steps: list[object] = []
    original = vips.load

    def load(*arguments: Any, **options: Any) -> Any:
        steps.append(options.get("shrink", 1))
        return original(*arguments, **options)

    monkeypatch.setattr(vips, "load", load)
    return steps


# --- one decode ------------------------------------------------------------------------------------------------------


def test_five_renditions_of_a_photograph_take_one_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = count_decodes(monkeypatch)
    made = rendered(TWELVE_MEGAPIXELS, *five())
    assert steps == [2]
    assert {name: (one.width, one.height) for name, one in made.items()} == {
        "w1600": (1600, 1200),
        "w800": (800, 600),
        "w400": (400, 300),
        "w200": (200, 150),
        "square": (300, 300),
    }


def test_a_page_of_text_is_decoded_for_each_as_a_job_of_its_own_would() -> None:
    body = drawings.body_of(drawings.text_page(800), "JPEG", quality=90)
    requests = [resize("half", width=400), resize("quarter", width=200), resize("eighth", width=100)]
    made = rendered(body, *requests)
    assert {name: one.body for name, one in made.items()} == {one.name: by_itself(body, one).body for one in requests}


def test_a_page_of_text_in_a_png_is_decoded_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    body = drawings.body_of(drawings.text_page(800), "PNG")
    steps = count_decodes(monkeypatch)
    rendered(body, *[resize(f"w{width}", width=width, format="jpeg") for width in (400, 200, 100, 50)])
    assert len(steps) == 2


def test_a_part_at_full_size_does_not_make_the_others_read_every_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = count_decodes(monkeypatch)
    rendered(TWELVE_MEGAPIXELS, crop("part", x=100, y=100, width=300, height=200), resize("small", width=400))
    assert sorted(map(str, steps)) == ["1", "8"]


def test_a_png_is_decoded_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    body = pictures.photo(Format.PNG)
    steps = count_decodes(monkeypatch)
    rendered(body, *[resize(f"w{width}", width=width) for width in (600, 500, 400)], crop("part", width=99, height=99))
    assert steps == [1]


def test_each_rendition_is_handed_over_before_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    finished: list[str] = []

    def finish_and_note(*arguments: Any, **options: Any) -> Rendition:
        rendition = finish(*arguments, **options)
        finished.append(f"w{rendition.width}")
        return rendition

    monkeypatch.setattr("darkroom.imaging.renditions.rendering.finish", finish_and_note)
    requests = [resize(f"w{width}", width=width) for width in (400, 200, 100)]
    for number, (name, _) in enumerate(render_all(PHOTOGRAPH, probe(PHOTOGRAPH, LIMITS), requests, LIMITS), start=1):
        assert len(finished) == number
        assert finished[-1] == name


# --- the same as a job of its own ------------------------------------------------------------------------------------

SAME_BYTES: dict[str, tuple[bytes, list[RenditionRequest]]] = {
    "the largest": (PHOTOGRAPH, [resize("it", width=800)]),
    "stored without loss": (PHOTOGRAPH, [resize("it", width=190, format="png")]),
    "of high quality": (PHOTOGRAPH, [resize("it", width=190, quality=95)]),
    "sharpened": (PHOTOGRAPH, [resize("it", width=190, sharpen=1)]),
    "salient": (PHOTOGRAPH, [crop("it", aspect="1:1", width=190, gravity="attention")]),
    "trimmed": (
        drawings.body_of(drawings.framed(400, 300), "PNG"),
        [resize("it", width=100, trim=True, format="jpeg")],
    ),
    "enlarged": (pictures.photo(Format.JPEG, 64, 48), [resize("it", width=100, enlarge=True)]),
    "animated": (pictures.animation(Format.GIF), [resize("it", width=20, animation="all")]),
    "first of an animation": (pictures.animation(Format.WEBP), [resize("it", width=20)]),
    "re-encoded": (pictures.photo(Format.JPEG, 64, 48, Q=40), [resize("it", width=64)]),
    "of 16 bits": (
        pictures.sixteen_bit_png(photograph(200, 150)),
        [resize("it", width=80), resize("grey", width=40, palette=True)],
    ),
    "a palette": (pictures.photo(Format.PNG, 200, 150, palette=True), [resize("it", width=80)]),
    "translucent": (pictures.encoded(pictures.disc_with_alpha(200, 150), Format.PNG), [resize("it", width=80)]),
    "a GIF with alpha": (pictures.encoded(pictures.disc_with_alpha(200, 150), Format.GIF), [resize("it", width=80)]),
    "wide gamut": (pictures.wide_gamut(photograph(200, 150), Format.PNG), [resize("it", width=80)]),
}


@pytest.mark.parametrize("case", SAME_BYTES)
def test_what_a_shared_decode_would_change_has_the_bytes_of_a_job_of_its_own(case: str) -> None:
    body, requests = SAME_BYTES[case]
    others = [
        resize("larger", width=500, format="jpeg"),
        resize("like", width=95, format="jpeg"),
        resize("smaller", width=40, format="jpeg"),
    ]
    made = rendered(body, *requests, *others)
    for request in requests:
        assert made[request.name].body == by_itself(body, request).body
        assert made[request.name].frames == by_itself(body, request).frames


SHARED: dict[str, dict[str, Any]] = {
    "rotated": {"rotate": 90},
    "mirrored": {"flip": "vertical"},
    "blurred": {"blur": 2},
    "contained": {"height": 120, "fit": "contain", "background": "#00ff00"},
    "filled": {"height": 120, "fit": "fill"},
    "covering": {"height": 120, "fit": "cover", "gravity": "east"},
    "webp": {"format": "webp"},
    "avif": {"format": "avif"},
    "with a watermark": {"overlay": {"storage_key": "uploads/stamp.png", "gravity": "north"}},
    "in few bytes": {"max_bytes": 2000},
    "with a hash": {"placeholder": "thumbhash"},
    "with its average": {"placeholder": "colour"},
}


@cache
def oriented(orientation: int) -> bytes:
    return pictures.oriented(photograph(600, 450), orientation)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("case", SHARED)
def test_what_shares_a_decode_looks_as_by_a_job_of_its_own(case: str, orientation: int) -> None:
    body = oriented(orientation)
    request = resize("it", width=95, stamp=STAMP if "overlay" in SHARED[case] else None, **SHARED[case])
    seen = rendered(body, resize("larger", width=300), request, resize("like", width=95))["it"]
    wanted = by_itself(body, request)
    assert (seen.width, seen.height, seen.content_type) == (wanted.width, wanted.height, wanted.content_type)
    assert psnr_db(samples(seen.body), samples(wanted.body)) > 30
    assert len(seen.body) < 1.05 * len(wanted.body)
    assert (seen.placeholder is None) == (wanted.placeholder is None)
    assert len(seen.body) <= SHARED[case].get("max_bytes", len(seen.body))


@pytest.mark.parametrize("with_profile", [True, False])
def test_the_colours_of_separations_and_profiles_are_those_of_a_job_of_its_own(with_profile: bool) -> None:
    body = pictures.cmyk_jpeg(photograph(400, 300), with_profile=with_profile)
    requests = [resize("larger", width=300), resize("it", width=95)]
    seen, wanted = rendered(body, *requests)["it"], by_itself(body, requests[1])
    assert np.abs(samples(seen.body).mean((0, 1)) - samples(wanted.body).mean((0, 1))).max() < 1


def test_translucent_pixels_of_a_gif_are_not_divided_twice() -> None:
    body = pictures.encoded(pictures.disc_with_alpha(400, 300), Format.GIF)
    requests = [resize("larger", width=200, format="webp"), resize("it", width=60, format="webp")]
    seen, wanted = (opened(one.body) for one in (rendered(body, *requests)["it"], by_itself(body, requests[1])))
    assert seen.mode == "RGBA"
    shown = [np.asarray(image.convert("RGBa"), dtype=np.float64) for image in (seen, wanted)]
    assert psnr_db(*shown) > 35


def test_what_is_only_encoded_again_costs_no_more_bytes_than_the_original() -> None:
    body = pictures.photo(Format.JPEG, 640, 480, Q=30)
    made = rendered(body, resize("same", width=640), resize("smaller", width=300), resize("larger", width=2000))
    assert len(made["same"].body) <= len(body)
    assert len(made["larger"].body) <= len(body)


def test_metadata_is_kept_in_each_that_asks_for_it() -> None:
    body = pictures.with_metadata(photograph(640, 480))
    made = rendered(
        body,
        resize("all", width=500, metadata="all"),
        resize("rights", width=200, metadata="copyright"),
        resize("none", width=100),
    )
    assert [b"SecretCamera" in made[name].body for name in ("all", "rights", "none")] == [True, False, False]
    assert [b"Ansel Example" in made[name].body for name in ("all", "rights", "none")] == [True, True, False]


# --- order -----------------------------------------------------------------------------------------------------------

MIXED = [
    resize("a", width=200),
    resize("b", width=200),
    resize("c", width=200, height=100, fit="cover"),
    resize("d", width=95, format="webp"),
    resize("e", width=95, format="png"),
    crop("f", aspect="1:1", gravity="attention", width=90),
    crop("g", x=10, y=20, width=120, height=80),
    resize("h", width=45, sharpen=1),
]


@settings(max_examples=5, deadline=None)
@given(st.permutations(MIXED))
def test_the_order_of_the_requests_changes_no_byte(requests: list[RenditionRequest]) -> None:
    body = pictures.photo(Format.JPEG, 320, 240)
    made = {name: one.body for name, one in rendered(body, *requests).items()}
    assert made == {name: one.body for name, one in rendered(body, *MIXED).items()}


def test_two_renditions_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        outcomes(PHOTOGRAPH, resize("a", width=10), resize("a", width=20))


def test_nothing_asked_is_nothing_made() -> None:
    assert outcomes(PHOTOGRAPH) == {}


# --- errors ----------------------------------------------------------------------------------------------------------


def test_one_that_cannot_be_made_leaves_the_others() -> None:
    made = outcomes(
        PHOTOGRAPH,
        crop("outside", x=799, y=0, width=100, height=100),
        resize("too-large", width=300, max_bytes=100),
        resize("palette", width=300, palette=True),
        resize("stamped", width=200, overlay={"storage_key": "uploads/stamp.png"}, stamp=b"this is no picture"),
        resize("good", width=150),
    )
    assert isinstance(made["outside"], CropOutOfBoundsError)
    assert isinstance(made["too-large"], ResultTooLargeError)
    assert isinstance(made["palette"], ParametersInvalidError)
    assert isinstance(made["stamped"], InputUnsupportedError)
    assert isinstance(made["good"], Rendition)


def test_of_a_truncated_picture_only_what_needs_the_lost_rows_fails() -> None:
    whole = pictures.photo(Format.JPEG, 640, 480)
    body = whole[: len(whole) * 3 // 4] + b"\xff\xd9"
    requests = [
        resize("all", width=300),
        resize("small", width=100),
        crop("top", x=0, y=0, width=600, height=100),
        crop("bottom", x=0, y=400, width=600, height=80),
    ]
    made = outcomes(body, *requests)
    assert isinstance(made["all"], ImageTruncatedError)
    assert isinstance(made["small"], ImageTruncatedError)
    assert isinstance(made["bottom"], ImageTruncatedError)
    assert isinstance(made["top"], Rendition)
    assert made["top"].body == by_itself(body, requests[2]).body
