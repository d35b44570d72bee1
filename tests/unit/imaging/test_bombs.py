"""Small uploads that would tie up or kill a process: refused, or made harmless, before a decoder sees them."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
from PIL import Image

from darkroom.contract.errors import (
    DarkroomError,
    ImageCorruptError,
    ImageTooManyFramesError,
    ImageTooManyPixelsError,
    ImageTooManyScansError,
)
from darkroom.contract.limits import MEBIBYTE, Limits
from darkroom.contract.parameters.output import OutputParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import CostClass, StreamProbe, checked_plan, cost_class, decode_cost, probe, render
from darkroom.imaging.probe import decodable
from tests.unit.imaging import handmade
from tests.unit.imaging.handmade import chunk, picture, riff_chunk, saved, segment, with_chunks, with_segments
from tests.unit.imaging.pixels import opened

LIMITS = Limits()
REPOSITORY = Path(__file__).parents[3]


def request(**fields: object) -> OutputParameters:
    return parse_parameters(ResizeParameters, {"width": 10, **fields})


STILL = request(format="png")
ANIMATION = request(animation="all")

# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [handmade.frame_bomb(100_000), handmade.animated_gif(301)], ids=["webp", "gif"])
def test_too_many_frames_are_refused_where_all_are_asked_for_and_only_there(body: bytes) -> None:
    with pytest.raises(ImageTooManyFramesError, match=r"301 frames or more.*limit is 300"):
        probe(body, LIMITS)
    with pytest.raises(ImageTooManyFramesError):
        render(body, ANIMATION, LIMITS)
    still = render(body, STILL, LIMITS)
    assert still.frames == 1
    assert render(body, request(animation="all", format="jpeg"), LIMITS).frames == 1


def test_the_first_frame_alone_reaches_the_decoder() -> None:
    for body in (handmade.frame_bomb(1000), handmade.animated_gif(200)):
        facts = probe(body, LIMITS, all_frames=False)
        first = decodable(body, facts, all_frames=False)
        assert probe(first, LIMITS).frames == 1
        assert len(first) < len(body) / 20


@pytest.mark.parametrize("format", ["WEBP", "GIF"])
def test_a_still_of_an_animation_is_its_first_frame_on_its_canvas(format: str) -> None:
    frames = [picture().rotate(angle) for angle in (0, 40, 80)]
    body = saved(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
    whole = request(width=handmade.SIDE_ACROSS, format="png")
    assert opened(render(body, whole, LIMITS).body).convert("RGB").tobytes() == (opened(body).convert("RGB").tobytes())


def test_a_first_frame_that_covers_a_part_of_the_canvas_keeps_its_place() -> None:
    pixels = saved(picture(width=20, height=10), "WEBP", lossless=True)[12:]
    place = (10).to_bytes(3, "little") + (5).to_bytes(3, "little")
    size = (19).to_bytes(3, "little") + (9).to_bytes(3, "little")
    frame = riff_chunk(b"ANMF", place + size + bytes(4) + pixels)
    body = handmade.riff(handmade.extended_header(60, 40, flags=0x12), riff_chunk(b"ANIM", bytes(6)), frame * 2)
    facts = probe(body, LIMITS)
    assert (facts.width, facts.height, facts.frames, facts.fills_canvas) == (60, 40, 2, False)
    still = opened(render(body, request(width=60, format="png"), LIMITS).body).convert("RGBA")
    assert still.size == (60, 40)
    assert still.getpixel((0, 0)) == (0, 0, 0, 0)
    assert still.getpixel((25, 12)) == (*picture(width=20, height=10).getpixel((5, 2)), 255)  # type: ignore[misc]


def test_pixels_of_all_frames_count_where_all_are_asked_for() -> None:
    body, limits = handmade.animated_gif(50), Limits(max_total_pixels=40 * 400)
    with pytest.raises(ImageTooManyPixelsError, match="16400 pixels in all"):
        probe(body, limits)
    facts = probe(body, limits, all_frames=False)
    assert facts.frames == 50
    assert checked_plan(facts, STILL, limits).output.width == 10
    with pytest.raises(ImageTooManyPixelsError, match="20000 pixels in all"):
        checked_plan(facts, ANIMATION, limits)


# --- metadata --------------------------------------------------------------------------------------------------------

MEASURED = """
import json, resource, sys
from pathlib import Path
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import render
body = Path(sys.argv[1]).read_bytes()
asked = parse_parameters(ResizeParameters, {"width": 10, "metadata": "all"})
width = render(body, asked, Limits()).width
print(json.dumps([width, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def peak_bytes(body: bytes, folder: Path) -> int:
    """Return the most memory that a process held that rendered this picture with all its metadata."""
    file = folder / "picture"
    file.write_bytes(body)
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, str(file)], cwd=REPOSITORY, capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0, run.stderr
    width, peak = json.loads(run.stdout)
    assert width == 10
    return int(peak)


def test_compressed_text_costs_no_memory(tmp_path: Path) -> None:
    bomb = handmade.text_bomb(60)
    assert probe(bomb, LIMITS).compressed_metadata_bytes > 300_000
    assert peak_bytes(bomb, tmp_path) < peak_bytes(saved(picture(), "PNG"), tmp_path) + 16 * MEBIBYTE


def _profile_of(size: int) -> bytes:
    return b"name\x00\x00" + zlib.compress(size.to_bytes(4, "big") + bytes(size - 4), 9)


@pytest.mark.parametrize(
    ("name", "is_left"),
    [
        ("compressed text", False),
        ("compressed international text", False),
        ("compressed packet", False),
        ("a huge profile", False),
        ("a profile that does not inflate", False),
        ("a profile after the first", False),
        ("a packet", True),
        ("a small compressed packet", True),
        ("a moderate profile", True),
    ],
)
def test_what_a_png_may_show_the_decoder(name: str, is_left: bool) -> None:
    bomb = zlib.compress(bytes(7_000_000), 9)
    added = {
        "compressed text": chunk(b"zTXt", b"Comment\x00\x00" + bomb),
        "compressed international text": chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + bomb),
        "compressed packet": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + bomb),
        "a huge profile": chunk(b"iCCP", _profile_of(7_000_000)),
        "a profile that does not inflate": chunk(b"iCCP", b"name\x00\x00" + bytes(100)),
        "a profile after the first": chunk(b"iCCP", _profile_of(2000)),
        "a small compressed packet": chunk(
            b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(b"<x:xmpmeta/>")
        ),
        "a packet": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00<x:xmpmeta/>"),
        "a moderate profile": chunk(b"iCCP", _profile_of(500_000)),
    }[name]
    first = chunk(b"iCCP", _profile_of(1000)) if name == "a profile after the first" else b""
    body = with_chunks(saved(picture(), "PNG"), first, added)
    facts = probe(body, LIMITS)
    assert (added in decodable(body, facts, all_frames=False)) is is_left
    assert facts.has_icc is ("profile" in name and (is_left or first != b""))
    assert render(body, STILL, LIMITS).width == 10


@pytest.mark.parametrize(
    "added",
    [
        segment(0xE1, b"Exif\x00\x00" + bytes(60_000)) * 100,
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\x00" + bytes(60_000)) * 100,
        segment(0xE2, b"ICC_PROFILE\x00\x01\xff" + bytes(60_000)) * 100,
        segment(0xE2, b"MPF\x00" + bytes(60_000)) * 100,
        segment(0xED, b"Photoshop 3.0\x00" + bytes(60_000)) * 100,
        segment(0xE5, bytes(60_000)) * 100,
        segment(0xFE, b"a comment") * 1000,
    ],
    ids=["exif", "extended xmp", "profile", "mpf", "iptc", "app5", "comments"],
)
def test_a_jpeg_shows_the_decoder_one_segment_of_each_kind(added: bytes) -> None:
    plain = saved(picture(), "JPEG")
    body = with_segments(plain, added)
    facts = probe(body, LIMITS)
    assert len(decodable(body, facts, all_frames=False)) < len(plain) + 61_000
    assert render(body, STILL, LIMITS).body == render(plain, STILL, LIMITS).body


def test_a_webp_shows_the_decoder_one_chunk_of_each_kind() -> None:
    pixels = saved(picture(), "WEBP")[12:]
    exif = riff_chunk(b"EXIF", b"II*\x00" + bytes(1000))
    body = handmade.riff(
        handmade.extended_header(handmade.SIDE_ACROSS, handmade.SIDE_DOWN, flags=0x2C),
        riff_chunk(b"JUNK", bytes(100_000)),
        pixels,
        exif * 100,
        riff_chunk(b"XMP ", bytes(2 * MEBIBYTE)),
    )
    shown = decodable(body, probe(body, LIMITS), all_frames=False)
    assert shown.count(b"EXIF") == 1
    assert b"JUNK" not in shown
    assert b"XMP " not in shown
    # The flags say what is left: no packet and no profile.
    assert shown[20] == 0x08
    assert render(body, STILL, LIMITS).width == 10


def test_an_avif_shows_the_decoder_no_metadata_that_it_would_inflate() -> None:
    exif = Image.Exif()
    exif[0x8298] = "somebody"
    body = saved(picture(), "AVIF", xmp=b"<x:xmpmeta/>", exif=exif.tobytes())
    plain = b"application/rdf+xml\x00"
    assert plain in body
    kept = decodable(body, probe(body, LIMITS), all_frames=False)
    assert (b"mime" in kept, b"Exif" in kept) == (True, True)
    encoded = body.replace(plain, b"application/rdf\x00zip\x00")
    shown = decodable(encoded, probe(encoded, LIMITS), all_frames=False)
    assert b"mime" not in shown
    assert render(encoded, request(metadata="all", format="png"), LIMITS).width == 10


def test_frames_of_an_animated_png_never_reach_the_decoder() -> None:
    frames = [picture().rotate(angle) for angle in range(0, 200, 10)]
    body = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    shown = decodable(body, probe(body, LIMITS), all_frames=False)
    assert len(shown) < len(body) / 5
    assert b"fdAT" not in shown


# --- scans -----------------------------------------------------------------------------------------------------------


def test_too_many_scans_are_refused_by_their_markers() -> None:
    body = handmade.scan_bomb(1000)
    with pytest.raises(ImageTooManyScansError, match=r"501 scans or more.*limit is 500"):
        probe(body, LIMITS)
    with pytest.raises(ImageTooManyScansError):
        # The first scan is half of the file.
        StreamProbe(LIMITS).feed(body[: len(body) * 8 // 10])
    exact = handmade.scan_bomb(9, width=64, height=64)
    assert probe(exact, Limits(max_scans=10)).scans == 10
    assert render(exact, STILL, Limits(max_scans=10)).width == 10
    with pytest.raises(ImageTooManyScansError):
        probe(exact, Limits(max_scans=9))


def test_scans_are_priced() -> None:
    few, many = (probe(handmade.scan_bomb(scans), LIMITS) for scans in (9, 400))
    assert (few.scans, many.scans) == (10, 401)
    assert decode_cost(many).cpu_ms > 4 * decode_cost(few).cpu_ms
    small = probe(handmade.scan_bomb(400, width=4000, height=3000), LIMITS)
    plain = probe(handmade.scan_bomb(9, width=4000, height=3000), LIMITS)
    asked = request(format="jpeg")
    assert (cost_class(plain, asked), cost_class(small, asked)) == (CostClass.STANDARD, CostClass.HEAVY)


# --- sizes that contradict each other --------------------------------------------------------------------------------


def test_a_webp_whose_frame_and_canvas_differ_is_refused() -> None:
    pixels = saved(picture(width=100, height=100), "WEBP")[12:]
    body = handmade.riff(handmade.extended_header(10, 10), pixels)
    with pytest.raises(DarkroomError, match=r"100x100.*10x10"):
        probe(body, LIMITS)


@pytest.mark.parametrize("size", [0, 7, 2**31, 2**32 - 1])
def test_a_box_of_an_absurd_size_is_refused(size: int) -> None:
    body = saved(picture(), "AVIF")
    place = body.index(b"meta") - 4
    with pytest.raises(DarkroomError) as refused:
        probe(handmade.replaced(body, place, size.to_bytes(4, "big")), LIMITS)
    assert refused.value.code == "image.corrupt"


def test_extents_that_are_described_by_no_byte_are_counted() -> None:
    """65,535 of them in six bytes, a hundred thousand times."""
    body = saved(picture(), "AVIF")
    place = body.index(b"iloc") - 4
    size = int.from_bytes(body[place : place + 4], "big")
    item = b"\x00\x01\x00\x00\xff\xff"
    extents = handmade.box(b"iloc", bytes(6) + (60_000).to_bytes(2, "big") + item * 60_000)
    start = body.index(b"meta") - 4
    longer = int.from_bytes(body[start : start + 4], "big") + len(extents) - size
    bomb = handmade.replaced(body[:place] + extents + body[place + size :], start, longer.to_bytes(4, "big"))
    with pytest.raises(ImageCorruptError, match="entries, the limit"):
        probe(bomb, LIMITS)


def test_boxes_with_long_sizes_and_one_that_goes_to_the_end_are_read() -> None:
    body = saved(picture(), "AVIF")
    place = body.index(b"mdat") - 4
    to_the_end = handmade.replaced(body, place, bytes(4))
    after = body + (1).to_bytes(4, "big") + b"free" + (100).to_bytes(8, "big") + bytes(84)
    plain = render(body, STILL, LIMITS).body
    for same in (to_the_end, after, after[:-40]):
        assert render(same, STILL, LIMITS).body == plain


def test_a_probe_of_the_bombs_needs_little_memory() -> None:
    for body in (handmade.frame_bomb(100_000), handmade.text_bomb(60), handmade.scan_bomb(5000)):
        tracemalloc.start()
        stream = StreamProbe(LIMITS, all_frames=False)
        try:
            for start in range(0, len(body), 65_536):
                stream.feed(body[start : start + 65_536])
            stream.finish()
        except ImageTooManyScansError:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEBIBYTE
