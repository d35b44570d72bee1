"""HEIC as phones store it: off by default; where it is on, turned, converted to sRGB, and judged like others."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from darkroom.contract.errors import (
    ImageCorruptError,
    ImageTooManyPixelsError,
    ImageTruncatedError,
    InputUnsupportedError,
    ParametersInvalidError,
    PictureError,
    RejectedError,
)
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.errors import SettingsError
from darkroom.imaging import CostClass, Rendition, cost_class, probe, render
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import library
from darkroom.serving.settings import Settings
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, YELLOW
from tests.unit.imaging.pixels import close, opened, psnr_db, rgb_at, samples

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif writes the pictures of these tests")
pytest.importorskip("pi_heif", reason="the extra heic is not installed")

pillow_heif.register_heif_opener()

ON = Limits(heic=True)


def heic(image: Image.Image, *, orientation: int = 1, quality: int = 95, **options: Any) -> bytes:
    """Return a HEIC of an upright picture, stored on its side as phones do: turned back by `irot` and `imir`."""
    exif = image.getexif()
    exif.update({0x0112: orientation, 0x010F: "Camera", 0x8298: "Zoe Example"})
    body = io.BytesIO()
    image.save(body, "HEIF", quality=quality, exif=exif.tobytes(), chroma=444, **options)
    return body.getvalue()


def upright(width: int = 120, height: int = 80) -> Image.Image:
    return opened(pictures.encoded(pictures.quarters(width, height), Format.PNG)).convert("RGB")


def resized(body: bytes, **fields: Any) -> Rendition:
    return render(body, parse_parameters(ResizeParameters, fields), ON)


def test_heic_is_refused_with_a_word_about_the_extra_unless_it_is_on() -> None:
    with pytest.raises(InputUnsupportedError, match=r"HEIC.*extra `heic`.*HEIC=on"):
        probe(heic(upright()), Limits())
    facts = probe(heic(upright()), ON)
    assert (facts.format, facts.width, facts.height, facts.has_alpha) == (Format.HEIC, 120, 80, False)
    assert (facts.content_type, facts.extension) == ("image/heic", "heic")


def test_a_heic_becomes_a_jpeg_unless_another_format_is_asked_for() -> None:
    result = resized(heic(upright()), width=60)
    assert (result.format, result.width, result.height, opened(result.body).format) == (Format.JPEG, 60, 40, "JPEG")
    for place, colour in (((0.2, 0.2), RED), ((0.8, 0.2), GREEN), ((0.2, 0.8), BLUE), ((0.8, 0.8), YELLOW)):
        assert close(rgb_at(result.body, *place), colour)
    assert resized(heic(upright()), width=60, format="webp").format is Format.WEBP
    with pytest.raises(ParametersInvalidError, match="must be one of keep, jpeg, png, webp, avif, gif"):
        parse_parameters(ResizeParameters, {"width": 60, "format": "heic"})


def test_a_heic_is_decoded_as_by_pillow() -> None:
    original = Image.fromarray(np.asarray(samples(pictures.encoded(photograph(160, 120), Format.PNG))).astype(np.uint8))
    body = heic(original, quality=90)
    reference = np.asarray(pillow_heif.open_heif(body).to_pillow(), dtype=np.float64)
    assert psnr_db(samples(resized(body, width=160, format="png").body), reference) > 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_stored_on_its_side_is_upright_and_turned_once(orientation: int) -> None:
    image = library().Image.new_from_array(np.asarray(upright())).copy(interpretation="srgb")
    stored = opened(pictures.oriented(image, orientation, Format.PNG))
    stored_pixels = Image.fromarray(np.asarray(stored.convert("RGB")))
    result = resized(heic(stored_pixels, orientation=orientation), width=60, metadata="all")
    assert (result.width, result.height) == (60, 40)
    assert opened(result.body).getexif().get(0x0112, 1) == 1
    for place, colour in (((0.2, 0.2), RED), ((0.8, 0.2), GREEN), ((0.2, 0.8), BLUE), ((0.8, 0.8), YELLOW)):
        assert close(rgb_at(result.body, *place), colour)


def test_the_wide_gamut_of_a_phone_is_converted() -> None:
    wide = opened(pictures.wide_gamut(pictures.quarters(120, 80), Format.PNG))
    profile = wide.info["icc_profile"]
    pixels = Image.fromarray(np.asarray(wide.convert("RGB")))
    pixels.info["icc_profile"] = profile
    result = resized(heic(pixels), width=60, format="png")
    assert probe(heic(pixels), ON).has_icc
    assert "icc_profile" not in opened(result.body).info
    assert close(rgb_at(result.body, 0.2, 0.2), RED, 8)
    assert close(rgb_at(result.body, 0.8, 0.2), GREEN, 8)


def test_alpha_and_grey_are_kept() -> None:
    disc = opened(pictures.encoded(pictures.disc_with_alpha(120, 80), Format.PNG))
    result = resized(heic(disc), width=60)
    assert (result.format, opened(result.body).mode) == (Format.WEBP, "RGBA")
    grey = resized(heic(upright().convert("L")), width=60)
    red, green, blue = rgb_at(grey.body, 0.2, 0.2)
    assert max(red, green, blue) - min(red, green, blue) <= 3


def test_rights_are_kept_and_the_rest_is_not() -> None:
    kept = resized(heic(upright()), width=60, metadata="copyright").body
    assert opened(kept).getexif()[0x8298] == "Zoe Example"
    assert b"Camera" not in kept
    assert not opened(resized(heic(upright()), width=60).body).getexif()


def test_a_heic_is_a_heavy_job_within_the_limits() -> None:
    body = heic(upright())
    assert cost_class(probe(body, ON), parse_parameters(ResizeParameters, {"width": 60})) is CostClass.HEAVY
    with pytest.raises(ImageTooManyPixelsError, match="9600 pixels, the limit is 9599"):
        probe(body, Limits(heic=True, max_pixels=9599))


def test_a_damaged_heic_is_an_error_of_the_picture() -> None:
    body = heic(upright())
    with pytest.raises((ImageTruncatedError, ImageCorruptError)):
        resized(body[: len(body) // 2], width=60)
    random = np.random.default_rng(3)
    for _ in range(60):
        changed = bytearray(body)
        for at in random.integers(16, len(body), 3):
            changed[at] = random.integers(0, 256)
        try:
            resized(bytes(changed), width=20)
        except (PictureError, RejectedError):
            continue


def test_an_avif_cannot_hold_what_a_heic_may() -> None:
    body = heic(upright()).replace(b"heix", b"avif")
    with pytest.raises(InputUnsupportedError, match=r"hvc1.*only av01"):
        probe(body, ON)


def test_the_setting_is_off_by_default() -> None:
    assert not Settings.load(needs=frozenset(), environment={}).limits.heic
    assert Settings.load(needs=frozenset(), environment={"HEIC": "on"}).limits.heic


def test_the_setting_stops_a_function_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="extra `heic`"):
        Settings.load(needs=frozenset(), environment={"HEIC": "on"})
