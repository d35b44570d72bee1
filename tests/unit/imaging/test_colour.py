"""Colours come out as browsers show them, whatever describes them; compared with numpy's arithmetic and Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import render, vips
from darkroom.imaging.vips import library
from tests.unit.imaging.drawings import Samples, body_of, decoded, resized

SIDE = 64
BT709, P3, BT2020 = 1, 12, 9
SRGB_CURVE, LINEAR, PQ, HLG = 13, 8, 16, 18
# ITU-T H.273, table 2: red, green, blue, and D65.
CHROMATICITIES = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
D65 = (0.3127, 0.3290)
SRGB_CHRM = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def ramps() -> np.ndarray[Any, np.dtype[np.uint8]]:
    ramp = np.tile(np.linspace(0, 255, SIDE).round().astype(np.uint8), (SIDE, 1))
    return np.stack([ramp, ramp.T, 255 - ramp], axis=-1)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes, samples: Any = None, **options: Any) -> bytes:
    body = body_of(Image.fromarray(ramps() if samples is None else samples), "PNG", **options)
    pixels = body.index(b"IDAT") - 4
    return body[:pixels] + b"".join(chunks) + body[pixels:]


def gama(gamma: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", gamma))


def chrm(*numbers: int) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


def cicp(primaries: int, transfer: int, *, full: bool = True) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, 0, full)))


def avif_with(primaries: int, transfer: int, samples: Any = None, **options: Any) -> bytes:
    """An AVIF whose nclx box says so; the decoder converts only by its matrix."""
    image = Image.fromarray(ramps() if samples is None else samples)
    body = body_of(image, "AVIF", **{"quality": 100, "subsampling": "4:4:4", **options})
    start = body.index(b"nclx") + 4
    return body[:start] + struct.pack(">HH", primaries, transfer) + body[start + 4 :]


# --- the reference ---------------------------------------------------------------------------------------------------


def linear_of_srgb(samples: Any) -> Samples:
    value = samples / 255
    return np.asarray(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def srgb_of_linear(light: Samples) -> Samples:
    light = light.clip(0, 1)
    return np.asarray(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255)


def to_srgb_primaries(light: Samples, primaries: int) -> Samples:
    return light @ (np.linalg.inv(xyz_matrix(BT709)) @ xyz_matrix(primaries)).T


def xyz_matrix(primaries: int) -> Samples:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in CHROMATICITIES[primaries]]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def pq_code(nits: float) -> int:
    """SMPTE ST 2084, inverse EOTF, in 8 bits."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    light = (nits / 10_000) ** m1
    return round(float(((c1 + c2 * light) / (1 + c3 * light)) ** m2) * 255)


# --- gAMA, cHRM, sRGB ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [100_000, 55_556, 50_000, 30_000, 200_000])
def test_a_png_is_converted_by_its_gamma(gamma: int) -> None:
    wanted = srgb_of_linear((ramps() / 255) ** (100_000 / gamma))
    assert np.abs(resized(png_with(gama(gamma)), width=SIDE) - wanted).max() < 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16"])
def test_every_kind_of_png_is_converted_by_its_gamma(mode: str) -> None:
    grey = ramps()[..., 0]
    if mode == "I;16":
        samples: Any = grey.astype(np.uint16) * 257
    else:
        samples = np.asarray(Image.fromarray(grey).convert(mode.replace("P", "L")))
    body = png_with(gama(100_000), samples=samples)
    if mode == "P":
        paletted = Image.fromarray(grey).convert("P")
        body = body_of(paletted, "PNG")
        body = body[:33] + gama(100_000) + body[33:]
    wanted = srgb_of_linear(grey / 255)
    seen = resized(body, width=SIDE)
    assert np.abs(seen - wanted[..., None]).max() < 1


def test_alpha_is_not_touched_by_a_gamma() -> None:
    samples = np.dstack([ramps(), ramps()[..., 0]])
    seen = resized(png_with(gama(100_000), samples=samples), "RGBA", width=SIDE)
    assert np.array_equal(seen[..., 3], samples[..., 3])
    visible = samples[..., 3] > 0
    assert np.abs(seen[..., :3] - srgb_of_linear(ramps() / 255))[visible].max() < 1


@pytest.mark.parametrize(
    "chunks",
    [
        (gama(45_455),),
        (gama(45_455), chrm(*SRGB_CHRM)),
        (chunk(b"sRGB", b"\0"), gama(100_000)),
        (chunk(b"sRGB", b"\0"), chrm(*SRGB_CHRM)),
        (cicp(BT709, SRGB_CURVE), gama(100_000)),
        (cicp(BT709, 1),),
        (cicp(2, 2),),
        (chrm(0, 0, 0, 0, 0, 0, 0, 0),),
        (chrm(31270, 32900, 64000, 33000, 64000, 33000, 64000, 33000),),
        (gama(0),),
    ],
)
def test_what_means_srgb_or_nothing_is_left_as_it_is(chunks: tuple[bytes, ...]) -> None:
    assert np.array_equal(resized(png_with(*chunks), width=SIDE), ramps())


@pytest.mark.parametrize("gamma", [None, 45_455, 55_556])
def test_a_png_is_converted_by_its_chromaticities(gamma: int | None) -> None:
    numbers = [round(number * 100_000) for point in (D65, *CHROMATICITIES[P3]) for number in point]
    chunks = [chrm(*numbers)] + ([] if gamma is None else [gama(gamma)])
    light = (ramps() / 255) ** (100_000 / 55_556) if gamma == 55_556 else linear_of_srgb(ramps())
    wanted = srgb_of_linear(to_srgb_primaries(light, P3))
    assert np.abs(resized(png_with(*chunks), width=SIDE) - wanted).max() < 1


def test_another_white_becomes_white() -> None:
    """Chromaticities with the white of daylight at 5000 K."""
    body = png_with(
        chrm(34_570, 35_850, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000), samples=np.full((8, 8, 3), 255, np.uint8)
    )
    assert np.array_equal(resized(body, width=8), np.full((8, 8, 3), 255))


# --- code points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("primaries", [P3, BT2020])
@pytest.mark.parametrize("transfer", [SRGB_CURVE, LINEAR, 4])
def test_a_png_is_converted_by_its_code_points(primaries: int, transfer: int) -> None:
    value = ramps() / 255
    light = {SRGB_CURVE: linear_of_srgb(ramps()), LINEAR: value, 4: value**2.2}[transfer]
    wanted = srgb_of_linear(to_srgb_primaries(light, primaries))
    assert np.abs(resized(png_with(cicp(primaries, transfer)), width=SIDE) - wanted).max() < 1


@pytest.mark.parametrize(("primaries", "transfer"), [(P3, SRGB_CURVE), (BT2020, 1), (P3, LINEAR)])
def test_an_avif_is_converted_by_its_code_points(primaries: int, transfer: int) -> None:
    body = avif_with(primaries, transfer)
    stored = decoded(body)
    light = stored / 255 if transfer == LINEAR else linear_of_srgb(stored)
    wanted = srgb_of_linear(to_srgb_primaries(light, primaries))
    # The two decoders round differently by one, which the curves amplify in the dark.
    assert np.abs(resized(body, width=SIDE) - wanted).mean() < 1


def test_code_points_and_a_profile_for_the_same_space_give_the_same_colours() -> None:
    """The profile is applied by LittleCMS, the code points by ours."""
    with_profile = library().Image.new_from_memory(ramps().tobytes(), SIDE, SIDE, 3, "uchar")
    with_profile = with_profile.copy(interpretation="srgb").icc_transform("p3", input_profile="srgb")
    body = bytes(with_profile.pngsave_buffer(keep="icc"))
    wanted = resized(body, width=SIDE)
    seen = resized(png_with(cicp(P3, SRGB_CURVE), samples=with_profile.numpy()), width=SIDE)
    # The profile's numbers are rounded, which its curve amplifies in the dark.
    assert np.abs(seen - wanted).max() <= 4
    assert np.abs(seen - wanted).mean() < 0.5


def test_a_profile_counts_more_than_code_points_and_those_more_than_a_gamma() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Pillow writes the profile; the other chunks come behind it.
    seen = resized(png_with(cicp(P3, LINEAR), gama(100_000), icc_profile=srgb), width=SIDE)
    assert np.abs(seen - ramps()).max() <= 1
    seen = resized(png_with(cicp(BT709, SRGB_CURVE), gama(100_000)), width=SIDE)
    assert np.array_equal(seen, ramps())


def test_a_broken_profile_leaves_the_word_to_the_code_points() -> None:
    profile = bytearray(132)
    profile[0:4], profile[16:20], profile[36:40] = struct.pack(">I", 132), b"RGB ", b"acsp"
    seen = resized(png_with(cicp(BT709, LINEAR), icc_profile=bytes(profile)), width=SIDE)
    assert np.abs(seen - srgb_of_linear(ramps() / 255)).max() < 1


# --- high dynamic range ----------------------------------------------------------------------------------------------


def grey_of(code: int, transfer: int) -> float:
    body = png_with(cicp(BT2020, transfer), samples=np.full((8, 8, 3), code, np.uint8))
    seen = resized(body, width=8)
    assert np.ptp(seen) <= 1, "grey stays grey"
    return float(seen.mean())


@pytest.mark.parametrize("nits", [0, 1, 10, 50, 90])
def test_dark_and_middle_tones_of_pq_are_shown_as_they_are(nits: float) -> None:
    """Below the knee of BT.2390's curve the light relative to the white of 203 cd/m2 is that of sRGB."""
    wanted = float(srgb_of_linear(np.array(nits / 203)))
    # A step of 8-bit PQ is some steps of sRGB.
    assert abs(grey_of(pq_code(nits), PQ) - wanted) <= 2


def test_the_bright_tones_of_pq_roll_off_to_white() -> None:
    shown = [grey_of(pq_code(nits), PQ) for nits in (50, 100, 203, 400, 600, 1000, 4000)]
    assert shown == sorted(shown)
    assert 180 < shown[1] < shown[2] < 240, "the white of graphics leaves room for highlights"
    assert shown[3] < 255 == shown[5] == shown[6]


def test_bt2390_maps_the_white_of_graphics_to_what_its_formula_says() -> None:
    """ITU-R BT.2390, 5.4.1, for a source of 1000 and a display of 203 cd/m2, computed independently."""

    def pq(nits: float) -> float:
        light = (nits / 10_000) ** (2610 / 16384)
        return float(((3424 / 4096 + 2413 / 128 * light) / (1 + 2392 / 128 * light)) ** (2523 / 32))

    code = pq_code(203)
    e1, most = (code / 255) / pq(1000), pq(203) / pq(1000)
    knee = 1.5 * most - 0.5
    t = (e1 - knee) / (1 - knee)
    e2 = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    nits = np.linspace(0, 203, 20_000)
    shown = nits[np.argmin(np.abs(np.array([pq(one) for one in nits]) - e2 * pq(1000)))] / 203
    assert abs(grey_of(code, PQ) - float(srgb_of_linear(np.array(shown)))) <= 1


def test_hlg_shows_its_reference_levels() -> None:
    """ITU-R BT.2408: 38 % is the grey card at 26 cd/m2, 75 % the white of graphics at 203, 100 % is 1000."""
    grey, white, peak = (grey_of(round(level * 255), HLG) for level in (0.38, 0.75, 1))
    assert abs(grey - float(srgb_of_linear(np.array(26 / 203)))) <= 4
    assert abs(white - grey_of(pq_code(203), PQ)) <= 2
    assert peak == 255


def test_a_colour_of_high_range_keeps_its_hue() -> None:
    code = np.array([165, 140, 110], np.uint8)
    seen = resized(png_with(cicp(BT709, PQ), samples=np.tile(code, (8, 8, 1))), width=8)[4, 4]

    def hue(light: Samples) -> float:
        return float((light[1] - light[2]) / (light[0] - light[2]))

    root = (code / 255) ** (32 / 2523)
    stored = ((root - 3424 / 4096).clip(0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)
    assert seen[0] < 255, "the brightest channel is rolled off, not cut"
    assert abs(hue(linear_of_srgb(seen)) - hue(stored)) < 0.02


@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_of_ten_or_twelve_bits_in_pq_is_tone_mapped(bits: int) -> None:
    for nits in (50, 203):
        code = pq_code(nits) / 255
        image = library().Image.black(SIDE, SIDE, bands=3) + code * 65535
        image = image.cast("ushort").copy(interpretation="rgb16")
        body = bytes(image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True))
        start = body.index(b"nclx") + 4
        body = body[:start] + struct.pack(">HH", BT2020, PQ) + body[start + 4 :]
        assert np.abs(resized(body, width=SIDE) - grey_of(pq_code(nits), PQ)).max() <= 2


def test_a_picture_of_high_range_keeps_alpha_and_becomes_any_format() -> None:
    samples = np.dstack([ramps(), 255 - ramps()[..., 1]])
    body = png_with(cicp(BT2020, PQ), samples=samples)
    opaque = resized(png_with(cicp(BT2020, PQ)), width=SIDE)
    seen = resized(body, "RGBA", width=SIDE)
    assert np.array_equal(seen[..., 3], samples[..., 3])
    assert np.array_equal(seen[..., :3][seen[..., 3] > 0], opaque[seen[..., 3] > 0])
    for format in ("jpeg", "webp", "avif", "gif"):
        on_black = resized(body, width=SIDE, format=format, background="#000000", quality=95)
        assert on_black[0].mean() > 50


# --- limited range ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("range", ["limited", "full"])
def test_an_avif_without_colour_has_black_and_white(range: str, alpha: bool) -> None:
    grey = Image.fromarray(ramps()[..., 0])
    if alpha:
        grey.putalpha(Image.fromarray(ramps()[..., 1]))
    body = body_of(grey, "AVIF", quality=100, range=range, subsampling="4:0:0")
    seen = resized(body, "RGBA", width=SIDE)
    visible = seen[..., 3] > 0
    wanted = ramps()[..., 0][visible][:, None]
    assert np.abs(seen[..., :3][visible] - wanted).max() <= 2
    if alpha:
        assert np.abs(seen[..., 3] - ramps()[..., 1]).max() <= 2


def test_an_avif_in_colour_is_not_stretched_twice() -> None:
    body = body_of(Image.fromarray(ramps()), "AVIF", quality=100, range="limited", subsampling="4:4:4")
    assert np.abs(resized(body, width=SIDE) - decoded(body)).mean() < 1


def test_a_png_of_limited_range_is_stretched() -> None:
    limited = (ramps() * (219 / 255) + 16).round().astype(np.uint8)
    seen = resized(png_with(cicp(BT709, SRGB_CURVE, full=False), samples=limited), width=SIDE)
    assert np.abs(seen - ramps()).max() <= 1


def test_a_grey_profile_of_an_avif_without_colour_is_applied() -> None:
    """Its decoder makes three bands of the one, which the profile would not fit."""
    grey = library().Image.new_from_memory(ramps()[..., 0].tobytes(), SIDE, SIDE, 1, "uchar").copy(interpretation="b-w")
    profile = grey_profile_of_gamma_one()
    body = body_of(Image.fromarray(grey.numpy()), "AVIF", quality=100, subsampling="4:0:0", icc_profile=profile)
    assert vips.load(Format.AVIF, body).bands == 3
    seen = resized(body, width=SIDE)
    assert np.abs(seen - srgb_of_linear(ramps()[..., :1] / 255)).mean() < 2


def grey_profile_of_gamma_one() -> bytes:
    """An ICC profile of version 2 for a grey device with a linear curve (ICC.1:2001-04)."""
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    text = b"linear grey\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": description, b"wtpt": white, b"kTRC": curve}
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", offset + len(data), len(content))
        data += padded
    header = bytearray(128)
    header[0:4] = struct.pack(">I", offset + len(data))
    header[8:12], header[12:24], header[36:40] = b"\x02\x10\0\0", b"mntrGRAYXYZ ", b"acsp"
    header[68:80] = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return bytes(header) + struct.pack(">I", len(tags)) + table + data


def test_what_is_converted_keeps_its_copyright() -> None:
    exif = Image.Exif()
    exif[0x8298] = "Ansel Example"
    parameters = parse_parameters(ResizeParameters, {"width": 32, "metadata": "copyright", "format": "jpeg"})
    result = render(png_with(cicp(P3, PQ), exif=exif), parameters, Limits()).body
    assert Image.open(io.BytesIO(result)).getexif()[0x8298] == "Ansel Example"
