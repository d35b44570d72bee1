"""The walkers, whatever the bytes are and however they come."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.contract.errors import DarkroomError, ImageTooManyFramesError, InputUnsupportedError
from darkroom.contract.limits import MEBIBYTE, Limits
from darkroom.contract.parameters.values import Format
from darkroom.imaging import Facts, StreamProbe, probe
from darkroom.imaging.containers.contents import CodePoints
from darkroom.imaging.containers.exif import orientation_of
from darkroom.imaging.probe import decodable
from tests.unit.imaging import handmade
from tests.unit.imaging.handmade import chunk, picture, riff_chunk, saved, segment, with_chunks, with_segments

LIMITS = Limits()
CHUNK_BYTES = 64 * 1024
NAMES = sorted(handmade.samples())


@cache
def sample(name: str) -> bytes:
    return handmade.samples()[name]


def judged(chunks: Iterator[bytes] | list[bytes], *, all_frames: bool = True) -> Facts | tuple[str, str]:
    """Return the facts, or the code and the words of the refusal. Anything but a refusal propagates."""
    stream = StreamProbe(LIMITS, all_frames=all_frames)
    try:
        for one in chunks:
            stream.feed(one)
        return stream.finish()
    except DarkroomError as exc:
        return exc.code, exc.detail


def split(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_any_size_give_the_same_facts(name: str, size: int) -> None:
    whole = judged([sample(name)])
    assert isinstance(whole, Facts)
    assert judged(split(sample(name), size)) == whole


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32), data=st.data())
def test_any_split_of_any_damaged_file_gives_the_same_verdict(name: str, seed: int, data: st.DataObject) -> None:
    body = bytearray(sample(name))
    random = Random(seed)
    for _ in range(random.randint(0, 4)):
        body[random.randrange(len(body))] = random.randrange(256)
    whole = judged([bytes(body)], all_frames=False)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    parts = [bytes(body[start:end]) for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    assert judged(parts, all_frames=False) == whole


@given(name=st.sampled_from(NAMES), start=st.integers(0, 60), tail=st.binary(max_size=300))
def test_a_familiar_beginning_and_then_any_bytes_give_a_verdict(name: str, start: int, tail: bytes) -> None:
    verdict = judged([sample(name)[:start] + tail])
    assert isinstance(verdict, Facts) or verdict[0].startswith(("image.", "input."))


@given(name=st.sampled_from(NAMES), edits=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=8)), max_size=4))
def test_what_the_decoder_is_given_can_always_be_made_or_is_refused(name: str, edits: list[tuple[int, bytes]]) -> None:
    body = sample(name)
    for offset, data in edits:
        body = body[:offset] + data + body[offset + len(data) :]
    facts = judged([body], all_frames=False)
    if isinstance(facts, Facts):
        with contextlib.suppress(DarkroomError):
            assert len(decodable(body, facts, all_frames=False)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_the_decoder_is_given_has_the_same_facts(name: str) -> None:
    facts = probe(sample(name), LIMITS)
    for all_frames in (True, False):
        given_body = decodable(sample(name), facts, all_frames=all_frames)
        again = probe(given_body, LIMITS)
        assert (again.format, again.size, again.orientation) == (facts.format, facts.size, facts.orientation)
        assert (again.bands, again.bits, again.lossless) == (facts.bands, facts.bits, facts.lossless)
        assert again.frames == (facts.frames if all_frames else 1)
        assert decodable(given_body, again, all_frames=all_frames) == given_body


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_on_the_way_is_what_another_walk_would_find(name: str) -> None:
    body = sample(name) + b"behind its end"
    facts = probe(body, LIMITS, all_frames=False)
    again = replace(facts, edits=None)
    assert decodable(body, facts, all_frames=False) == decodable(body, again, all_frames=False)
    assert (facts.edits is not None) == (facts.format in {Format.JPEG, Format.PNG})


# --- work and memory -------------------------------------------------------------------------------------------------


def steps(work: Callable[[], object]) -> int:
    """Count the lines of Python that run: work that no other process on the machine can change."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def judge(body: bytes) -> None:
    judged(split(body, 4096))


def padded(kind: str, times: int) -> bytes:
    """A picture with that many times something of no use in it."""
    png, jpeg = sample("png"), sample("jpeg")
    webp, gif, avif = sample("lossless webp"), sample("gif"), sample("avif")
    blocks = handmade.gif_colours_end(gif)
    match kind:
        case "png chunks":
            return with_chunks(png, chunk(b"teST", b"x") * times)
        case "png pixels in empty chunks":
            return png[:-12] + chunk(b"IDAT", b"") * times + png[-12:]
        case "png animation":
            return with_chunks(png, chunk(b"acTL", bytes(8)), chunk(b"fcTL", bytes(26)) * times)
        case "jpeg comments":
            return with_segments(jpeg, segment(0xFE, b"x") * times)
        case "jpeg exif":
            return with_segments(jpeg, segment(0xE1, b"Exif\x00\x00") * times)
        case "jpeg profile":
            return with_segments(jpeg, segment(0xE2, b"ICC_PROFILE\x00\x01\x01") * times)
        case "jpeg tables":
            return with_segments(jpeg, segment(0xDD, b"\x00\x00") * times)
        case "jpeg fill bytes":
            return jpeg[:2] + b"\xff" * times + jpeg[2:]
        case "jpeg restart markers":
            return jpeg[:-2] + b"\xff\xd0" * times + jpeg[-2:]
        case "webp chunks":
            return handmade.riff(webp[12:30], riff_chunk(b"abcd", b"x") * times, webp[30:])
        case "webp exif":
            return handmade.riff(webp[12:], riff_chunk(b"EXIF", b"x") * times)
        case "gif comments":
            return gif[:blocks] + b"\x21\xfe\x01x\x00" * times + gif[blocks:]
        case "gif small blocks":
            return gif[:blocks] + b"\x21\xfe" + b"\x01x" * times + b"\x00" + gif[blocks:]
        case "gif padding":
            return gif[:-1] + bytes(times) + b";"
        case "avif boxes":
            return avif + handmade.box(b"free", b"") * times
        case "avif items":
            return _with_boxes_in_meta(avif, handmade.box(b"free", b"") * times)
    raise ValueError(kind)


def _with_boxes_in_meta(avif: bytes, boxes: bytes) -> bytes:
    start = avif.index(b"meta") - 4
    size = int.from_bytes(avif[start : start + 4], "big")
    end = start + size
    return avif[:start] + (size + len(boxes)).to_bytes(4, "big") + avif[start + 4 : end] + boxes + avif[end:]


PADDINGS = [
    "png chunks",
    "png pixels in empty chunks",
    "png animation",
    "jpeg comments",
    "jpeg exif",
    "jpeg profile",
    "jpeg tables",
    "jpeg fill bytes",
    "jpeg restart markers",
    "webp chunks",
    "webp exif",
    "gif comments",
    "gif small blocks",
    "gif padding",
    "avif boxes",
    "avif items",
]


@pytest.mark.parametrize("kind", PADDINGS)
def test_the_work_grows_with_the_bytes_and_no_faster(kind: str) -> None:
    none, once, twice = (steps(partial(judge, padded(kind, times))) for times in (0, 1000, 2000))
    assert twice - none <= 2.2 * (once - none) + 100


def peak_bytes(body: bytes) -> int:
    tracemalloc.start()
    try:
        judge(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", PADDINGS)
def test_the_memory_does_not_grow_with_the_bytes(kind: str) -> None:
    bodies = [padded(kind, times) for times in (1, 5000)]
    # The least of several, since other threads of this process are counted too.
    peaks = [min(peak_bytes(body) for _ in range(3)) for body in bodies]
    # A box that describes an AVIF's picture is held, up to its limit.
    allowance = len(bodies[1]) * 6 if kind == "avif items" else 64 * 1024
    assert peaks[1] <= peaks[0] + allowance


@pytest.mark.parametrize("kind", [kind for kind in PADDINGS if kind not in ("jpeg fill bytes", "gif padding")])
def test_a_container_in_a_million_parts_is_refused_after_few_of_them(kind: str) -> None:
    if kind in ("jpeg restart markers", "gif small blocks"):
        # They belong to one part; the file is judged as it is.
        assert isinstance(judged(split(padded(kind, 300_000), CHUNK_BYTES)), Facts)
        return
    verdict = judged(split(padded(kind, 300_000), CHUNK_BYTES))
    assert isinstance(verdict, tuple)
    assert verdict[0] in ("input.unsupported", "image.corrupt")
    assert "limit" in verdict[1]


def test_a_refusal_comes_with_the_bytes_that_show_it() -> None:
    """Not when all of a large body has been read."""
    stream = StreamProbe(LIMITS)
    body = handmade.frame_bomb(1000)
    stream.feed(body[: len(body) // 4])
    with pytest.raises(ImageTooManyFramesError):
        stream.feed(body[len(body) // 4 : len(body) // 3])
    with pytest.raises(InputUnsupportedError):
        StreamProbe(LIMITS).feed(b"%PDF-1.7 is no picture")
    with pytest.raises(DarkroomError, match="limit is 10"):
        StreamProbe(Limits(max_input_bytes=10)).feed(bytes(11))


def test_a_probe_holds_no_more_than_the_chunk_in_hand() -> None:
    body = saved(picture(width=1200, height=900), "PNG", compress_level=0)
    assert len(body) > 3 * MEBIBYTE
    stream = StreamProbe(LIMITS)
    tracemalloc.start()
    for start in range(0, len(body), CHUNK_BYTES):
        stream.feed(body[start : start + CHUNK_BYTES])
    facts = stream.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert facts.input_bytes == len(body)
    assert peak < 4 * CHUNK_BYTES


# --- facts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 10, 97])
def test_pixels_in_many_chunks_are_walked_like_those_in_one(size: int) -> None:
    body = saved(picture(), "PNG")
    start = body.index(b"IDAT") - 4
    pixels = body[start + 8 : start + 8 + int.from_bytes(body[start : start + 4], "big")]
    parts = b"".join(chunk(b"IDAT", one) for one in split(pixels, size))
    many = body[:start] + parts + chunk(b"IEND", b"")
    facts = judged([many])
    assert isinstance(facts, Facts)
    assert facts == replace(probe(body, LIMITS), input_bytes=len(many))
    assert decodable(many, facts, all_frames=False) is many
    assert judged(split(many, 13)) == facts
    for end in range(start, len(many), len(many) // 25):
        assert judged([many[:end]]) == judged(split(many[:end], 37))
    # What comes behind pixels is noted, and more pixels behind that do not count.
    assert judged([many[:-12] + chunk(b"teXt", b"") + parts]) == judged(
        split(many[:-12] + chunk(b"teXt", b"") + parts, 11)
    )


def test_what_a_png_says_about_its_colours() -> None:
    plain = sample("png of a palette")
    facts = probe(
        with_chunks(
            saved(picture(), "PNG"),
            chunk(b"gAMA", struct_number(45_455)),
            chunk(b"cHRM", b"".join(map(struct_number, range(8)))),
            chunk(b"sRGB", b"\x01"),
            chunk(b"cICP", b"\x09\x10\x00\x01"),
        ),
        LIMITS,
    )
    assert (facts.colour.gamma, facts.colour.srgb_intent) == (45_455, 1)
    assert facts.colour.chromaticities == (0, 1, 2, 3, 4, 5, 6, 7)
    assert facts.colour.code_points == CodePoints(primaries=9, transfer=16, matrix=0, full_range=True)
    palette = probe(plain, LIMITS)
    assert palette.palette_colours > 4
    assert palette.lossless
    assert palette.has_alpha


def struct_number(number: int) -> bytes:
    return number.to_bytes(4, "big")


def test_the_first_statement_counts_and_the_decoder_sees_no_other() -> None:
    body = with_chunks(saved(picture(), "PNG"), *(chunk(b"gAMA", struct_number(number)) for number in (1000, 2000)))
    facts = probe(body, LIMITS)
    assert facts.colour.gamma == 1000
    assert decodable(body, facts, all_frames=False).count(b"gAMA") == 1


@pytest.mark.parametrize(
    ("name", "lossless"), [("webp", False), ("lossless webp", True), ("png", True), ("jpeg", False)]
)
def test_lossless_is_read_from_the_container(name: str, lossless: bool) -> None:
    assert probe(sample(name), LIMITS).lossless is lossless


def test_an_avif_says_its_code_points_its_alpha_and_whether_it_has_colour() -> None:
    facts = probe(sample("avif"), LIMITS)
    assert facts.has_alpha
    assert facts.colour.code_points is not None
    assert (facts.colour.code_points.transfer, facts.monochrome) == (13, False)
    assert probe(saved(picture("L"), "AVIF", subsampling="4:0:0"), LIMITS).monochrome


def test_an_avif_sequence_is_read_as_its_still() -> None:
    facts = probe(sample("avif sequence"), LIMITS)
    assert (facts.format, facts.frames, facts.width, facts.height) == (Format.AVIF, 1, 24, 16)


@pytest.mark.parametrize(("name", "scans"), [("jpeg", 1), ("progressive jpeg", 10), ("cmyk jpeg", 1)])
def test_scans_are_counted_from_the_markers(name: str, scans: int) -> None:
    assert probe(sample(name), LIMITS).scans == scans


@pytest.mark.parametrize(
    ("block", "orientation"),
    [
        (b"", 1),
        (b"Exif\x00\x00", 1),
        (b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00", 6),
        (b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00", 8),
        (b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x09\x00\x00", 1),
        (b"MM\x00*\xff\xff\xff\xff\x00\x01", 1),
        (b"MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12\x00\x03", 1),
    ],
)
def test_the_orientation_is_that_of_the_first_directory(block: bytes, orientation: int) -> None:
    assert orientation_of(block) == orientation
