"""Good files that look odd are rendered; damaged ones are not; valid ones that cannot be decoded are called so."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from darkroom.contract.errors import ImageCorruptError, ImageTruncatedError, InputUnsupportedError, PictureError
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import StreamProbe, probe, render
from tests.unit.imaging import handmade
from tests.unit.imaging.handmade import chunk, picture, replaced, saved, segment, with_chunks, with_segments

LIMITS = Limits()
# All pixels, as they are decoded.
WHOLE = parse_parameters(ResizeParameters, {"width": handmade.SIDE_ACROSS, "format": "png"})
SMALL = parse_parameters(ResizeParameters, {"width": 20, "format": "png"})
TOP_LEFT = parse_parameters(CropParameters, {"x": 0, "y": 0, "width": 8, "height": 8, "format": "png"})
REQUESTS = [WHOLE, SMALL, TOP_LEFT]

JPEG = saved(picture(), "JPEG")
PROGRESSIVE = saved(picture(), "JPEG", progressive=True)
PNG = saved(picture(), "PNG")
WEBP = saved(picture(), "WEBP")
GIF = saved(picture("P"), "GIF")
AVIF = saved(picture(), "AVIF")
SCAN = handmade.scan_parameters_offset(JPEG)
FRAME = handmade.frame_header_offset(JPEG)


def _with_exif_behind_pixels(avif: bytes) -> bytes:
    """The AVIF with its EXIF block moved to the end of the file."""
    place = avif.index(b"iloc") + 12
    while True:
        offset, length = struct.unpack_from(">II", avif, place + 6)
        # A TIFF header, behind the four bytes that say where it begins.
        if avif[offset + 4 : offset + 6] in (b"II", b"MM") or avif[offset + 10 : offset + 12] in (b"II", b"MM"):
            return replaced(avif, place + 6, struct.pack(">I", len(avif))) + avif[offset : offset + length]
        place += 14


_EXIF = Image.Exif()
_EXIF[0x8298] = "somebody"
WITH_EXIF = _with_exif_behind_pixels(saved(picture(), "AVIF", exif=_EXIF.tobytes()))

HARMLESS = {
    "a scan header of zeros, as some cameras write it": (JPEG, replaced(JPEG, SCAN, bytes(3))),
    "a scan header of other numbers": (JPEG, replaced(JPEG, SCAN, b"\x01\x05\x12")),
    "bytes between two segments": (JPEG, JPEG[:FRAME] + b"junk\x00\xff\x00" + JPEG[FRAME:]),
    "fill bytes before a marker": (JPEG, JPEG[:FRAME] + b"\xff" * 9 + JPEG[FRAME:]),
    "an unknown revision of JFIF": (JPEG, JPEG.replace(b"JFIF\x00\x01", b"JFIF\x00\x07", 1)),
    "an unknown colour transform": (
        saved(picture("L"), "JPEG"),
        with_segments(saved(picture("L"), "JPEG"), segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x07")),
    ),
    "an unknown colour transform of three components": (
        with_segments(JPEG, segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01")),
        with_segments(JPEG, segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x07")),
    ),
    "an EXIF block of noise": (
        JPEG,
        with_segments(JPEG, segment(0xE1, b"Exif\x00\x00II*\x00\xff\xff\xff\xff\xff\xff")),
    ),
    "a profile of which a part is missing": (JPEG, with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\x00\x01\x02abc"))),
    "no end marker": (JPEG, JPEG[:-2]),
    "half an end marker": (JPEG, JPEG[:-1]),
    "a camera's trailer in the place of the end marker": (JPEG, JPEG[:-2] + b"\x00\x00SEFT trailer"),
    "a trailer behind the end marker": (JPEG, JPEG + b"\x00\x00SEFT trailer"),
    "a second picture behind the end marker": (JPEG, JPEG + PROGRESSIVE),
    "a progressive picture without an end marker": (PROGRESSIVE, PROGRESSIVE[:-2]),
    "a line count behind the scan that repeats the header's": (
        JPEG,
        JPEG[:-2] + segment(0xDC, handmade.SIDE_DOWN.to_bytes(2, "big")) + JPEG[-2:],
    ),
    "a png without its end": (PNG, PNG[:-12]),
    "a png whose end is cut": (PNG, PNG[:-5]),
    "a png without its last checksum": (PNG, PNG[:-16]),
    "a png without any checksum of its pixels": (PNG, PNG[:-20]),
    "a png with something behind its end": (PNG, PNG + b"trailer"),
    "a png with something in the place of its end": (PNG, PNG[:-12] + b"trailer, not a chunk"),
    "a png whose text is cut behind its pixels": (PNG, PNG[:-12] + chunk(b"tEXt", bytes(100))[:50]),
    "a png with a wrong checksum of its text": (PNG, with_chunks(PNG, chunk(b"tEXt", b"a\x00b")[:-4] + b"oops")),
    "a png with a wrong checksum of its gamma": (
        PNG,
        with_chunks(PNG, chunk(b"gAMA", b"\x00\x01\x86\xa0")[:-4] + b"oops"),
    ),
    "a webp with something behind its end": (WEBP, WEBP + b"trailer"),
    "a webp that claims to be longer": (WEBP, replaced(WEBP, 4, (len(WEBP) + 1000).to_bytes(4, "little"))),
    "a webp whose metadata are cut": (
        WEBP,
        handmade.riff(
            handmade.extended_header(handmade.SIDE_ACROSS, handmade.SIDE_DOWN, flags=8),
            WEBP[12:],
            handmade.riff_chunk(b"EXIF", bytes(1000)),
        )[:-500],
    ),
    "a gif without its trailer": (GIF, GIF[:-1]),
    "a gif with something in the place of its trailer": (GIF, GIF[:-1] + b"oops"),
    "an avif with something behind its end": (AVIF, AVIF + b"trailer"),
    "an avif whose metadata are cut": (WITH_EXIF, WITH_EXIF[:-10]),
    "an avif with half a box behind its end": (AVIF, AVIF + handmade.box(b"free", bytes(100))[:30]),
}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_is_odd_but_whole_is_rendered_as_if_it_were_not(name: str) -> None:
    plain, odd = HARMLESS[name]
    assert plain != odd
    for asked in REQUESTS:
        assert render(odd, asked, LIMITS).body == render(plain, asked, LIMITS).body
    assert probe(odd, LIMITS).size == probe(plain, LIMITS).size


@pytest.mark.parametrize("lacking", [3, 4, 10, 100])
@pytest.mark.parametrize(
    ("asked", "ending"),
    # With an end put on, a decoder that needs only the beginning has no reason to look further.
    [(WHOLE, b""), (SMALL, b""), (TOP_LEFT, b""), (WHOLE, b"\xff\xd9"), (SMALL, b"\xff\xd9")],
    ids=["whole", "small", "top left", "whole with an end put on", "small with an end put on"],
)
@pytest.mark.parametrize("kind", ["baseline", "progressive", "odd"])
def test_a_jpeg_that_lacks_its_last_pixels_is_truncated(
    kind: str, asked: OutputParameters, ending: bytes, lacking: int
) -> None:
    odd = HARMLESS["a scan header of zeros, as some cameras write it"][1]
    body = {"baseline": JPEG, "progressive": PROGRESSIVE, "odd": odd}[kind]
    with pytest.raises(ImageTruncatedError):
        render(body[:-lacking] + ending, asked, LIMITS)


@pytest.mark.parametrize("lacking", [21, 22, 30, 200])
def test_a_png_that_lacks_its_last_pixels_is_truncated(lacking: int) -> None:
    for asked in REQUESTS:
        with pytest.raises(ImageTruncatedError):
            render(PNG[:-lacking], asked, LIMITS)
    with pytest.raises(ImageTruncatedError):
        probe(PNG[:-lacking], LIMITS)


def test_a_png_that_is_cut_between_two_chunks_of_pixels_is_truncated() -> None:
    body = saved(picture(width=600, height=400), "PNG", compress_level=0)
    second = body.index(b"IDAT", body.index(b"IDAT") + 4) - 4
    with pytest.raises(ImageTruncatedError, match="bytes of its pixels are missing"):
        render(body[:second], SMALL, LIMITS)
    stream = StreamProbe(LIMITS)
    stream.feed(body[:second])
    assert not stream.finish().ends


@pytest.mark.parametrize(("body", "lacking"), [(WEBP, 1), (WEBP, 50), (AVIF, 1), (AVIF, 50), (GIF, 2), (GIF, 50)])
def test_other_pictures_that_lack_their_last_pixels_are_truncated(body: bytes, lacking: int) -> None:
    # A WebP may lack its padding.
    lacking += body is WEBP and body[-1] == 0
    with pytest.raises(ImageTruncatedError):
        render(body[:-lacking], SMALL, LIMITS)


@pytest.mark.parametrize(
    "name",
    [
        "a scan header of zeros, as some cameras write it",
        "bytes between two segments",
        "an unknown revision of JFIF",
        "an unknown colour transform",
        "an unknown colour transform of three components",
        "a profile of which a part is missing",
    ],
)
def test_a_harmless_oddity_hides_no_missing_pixels(name: str) -> None:
    """libjpeg shows only its first warning, and that one must not be the harmless one."""
    for ending in (b"", b"\xff\xd9"):
        for asked in (WHOLE, SMALL):
            with pytest.raises(ImageTruncatedError):
                render(HARMLESS[name][1][:-12] + ending, asked, LIMITS)


def test_damaged_pixels_stay_corrupt_behind_a_harmless_warning() -> None:
    odd = HARMLESS["a scan header of zeros, as some cameras write it"][1]
    with pytest.raises(PictureError):
        render(replaced(odd, SCAN + 60, b"\xff\xd3\x00\x00\xff\xd1" * 4), WHOLE, LIMITS)
    with pytest.raises(ImageCorruptError):
        render(PNG[:-16] + b"oops" + PNG[-12:], WHOLE, LIMITS)


def test_a_png_without_its_end_may_still_be_corrupt() -> None:
    palette = saved(picture("P"), "PNG")
    place = palette.index(b"PLTE") + 4
    with pytest.raises(ImageCorruptError):
        render(replaced(palette, place, b"oops")[:-12], SMALL, LIMITS)


# --- another brand ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("brand", [b"mif1", b"miaf", b"heic", b"    "])
def test_an_avif_is_known_by_a_compatible_brand(brand: bytes) -> None:
    assert b"avif" in AVIF[16:32]
    body = replaced(AVIF, 8, brand)
    assert render(body, WHOLE, LIMITS).body == render(AVIF, WHOLE, LIMITS).body


def test_a_file_type_box_with_many_brands_is_read_to_its_end() -> None:
    brands = b"".join(b"x%03d" % number for number in range(500))
    ftyp = handmade.box(b"ftyp", b"mif1\x00\x00\x00\x00" + brands + b"avif")
    stream = StreamProbe(LIMITS)
    stream.feed(ftyp[:100])
    for byte in ftyp[100:]:
        stream.feed(bytes([byte]))
    with pytest.raises(ImageTruncatedError):
        stream.finish()
    with pytest.raises(InputUnsupportedError):
        probe(ftyp.replace(b"avif", b"mif1"), LIMITS)


def test_an_avif_without_the_brand_is_unsupported() -> None:
    with pytest.raises(InputUnsupportedError):
        probe(AVIF.replace(b"avif", b"mif1", 2), LIMITS)


# --- valid, but not decoded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "feature"),
    [
        (replaced(JPEG, FRAME + 4, b"\x0c"), "12 bits per sample"),
        (replaced(JPEG, FRAME + 4, b"\x10"), "16 bits per sample"),
        (replaced(JPEG, FRAME + 1, b"\xc3"), "lossless"),
        (replaced(JPEG, FRAME + 1, b"\xc5"), "hierarchical"),
        (replaced(JPEG, FRAME + 1, b"\xc9"), "arithmetic"),
        (replaced(JPEG, FRAME + 1, b"\xca"), "arithmetic"),
        (replaced(JPEG, FRAME + 1, b"\xcf"), "hierarchical lossless arithmetic"),
        (with_segments(JPEG, segment(0xDE, bytes(15))), "hierarchical"),
        (replaced(JPEG, FRAME + 5, b"\x00\x00")[:-2] + segment(0xDC, b"\x00\x78") + b"\xff\xd9", "DNL"),
        (
            saved(picture("L"), "JPEG").replace(
                b"\xff\xc0\x00\x0b\x08\x00\x78\x00\xa0\x01\x01\x11\x00",
                b"\xff\xc0\x00\x0e\x08\x00\x78\x00\xa0\x02\x01\x11\x00\x02\x11\x00",
            ),
            "2 components",
        ),
        (replaced(replaced(JPEG, FRAME + 11, b"\x31"), FRAME + 14, b"\x21"), "sampled in a ratio"),
        (PNG[:8] + chunk(b"CgBI", bytes(4)) + PNG[8:], "CgBI"),
        (AVIF[:32] + handmade.box(b"moov", bytes(20)), "sequence"),
        (AVIF.replace(b"av01", b"hvc1"), "hvc1"),
    ],
)
def test_what_is_valid_but_not_decoded_is_unsupported_by_name(body: bytes, feature: str) -> None:
    with pytest.raises(InputUnsupportedError, match=feature):
        probe(body, LIMITS)


# --- plain words -----------------------------------------------------------------------------------------------------


DAMAGED = {
    "jpeg": replaced(JPEG, SCAN + 60, b"\xff\xd3\x00\x00\xff\xd1" * 4),
    "jpeg without tables": JPEG.replace(b"\xff\xdb", b"\xff\xe4"),
    "jpeg cut": JPEG[:-30] + b"\xff\xd9",
    "png": PNG[:-16] + b"oops" + PNG[-12:],
    "webp": handmade.riff(handmade.riff_chunk(b"VP8 ", WEBP[20:80])),
    "gif": replaced(GIF, handmade.gif_colours_end(GIF) + 10 + 60, b"\xff" * 600),
    "avif": AVIF[: AVIF.index(b"mdat") + 30] + bytes(len(AVIF) - AVIF.index(b"mdat") - 30),
}
CHATTER = ("unable to call", "bad seek", "_source", "vips", "libpng", "heif:", "(2.", "nsgif", "/")


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_the_cause_is_given_in_plain_words(name: str) -> None:
    with pytest.raises(PictureError) as refused:
        render(DAMAGED[name], WHOLE, LIMITS)
    detail = refused.value.detail
    assert detail.startswith(f"the {name.split()[0]} picture")
    assert not any(words in detail.lower() for words in CHATTER), detail
    assert str(len(DAMAGED[name])) in detail
