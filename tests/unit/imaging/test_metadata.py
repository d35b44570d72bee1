"""What is kept of EXIF, XMP and IPTC: rights byte for byte, and nothing that described the old pixels."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from darkroom.contract.limits import Limits
from darkroom.contract.parameters.crop import CropParameters
from darkroom.contract.parameters.parsing import parse_parameters
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging import render
from darkroom.imaging.geometry import Size
from darkroom.imaging.metadata import exif, iptc, xmp
from darkroom.imaging.vips import library
from tests import pictures
from tests.unit.imaging.pixels import close, opened, rgb_at

LIMITS = Limits()
HELD = [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF]
NOTICES = ["© Zoë Müller", "写真 © 2026", "x" * 5000, "Ansel (C) (1/125)", "a\x00b"]
SIZE = Size(width=30, height=20)


def resized(body: bytes, **fields: Any) -> bytes:
    return render(body, parse_parameters(ResizeParameters, {"width": 30, **fields}), LIMITS).body


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """Return a JPEG with these segments behind its start."""
    body = pictures.encoded(pictures.quarters(60, 40), Format.JPEG, keep="none")
    return (
        body[:2]
        + b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
        + body[2:]
    )


def exif_block(entries: dict[int, bytes], *, order: str = "<", kind: int = 2) -> bytes:
    """Return a block with these texts in its main directory."""
    block = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}IH", 8, len(entries))
    values, at = b"", 8 + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        place = struct.pack(f"{order}I", at + len(values)) if len(value) > 4 else value.ljust(4, b"\x00")
        block += struct.pack(f"{order}HHI", tag, kind, len(value)) + place
        values += value if len(value) > 4 else b""
    return b"Exif\x00\x00" + block + bytes(4) + values


def xmp_segment(properties: str, *, attributes: str = "") -> tuple[int, bytes]:
    return 0xE1, xmp.JPEG_HEADER + packet(properties, attributes=attributes)


def packet(properties: str, *, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Tool 1">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" '
        f'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" {attributes}>'
        f'{properties}</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 200}<?xpacket end="w"?>'
    ).encode()


def iptc_segment(*data_sets: tuple[int, int, bytes]) -> tuple[int, bytes]:
    record = b"".join(
        b"\x1c" + bytes([one, two]) + struct.pack(">H", len(value)) + value for one, two, value in data_sets
    )
    thumbnail = b"8BIM\x04\x0c\x00\x00" + struct.pack(">I", 9) + b"thumbnail\x00"
    data = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(record)) + record + bytes(len(record) % 2)
    return 0xED, b"Photoshop 3.0\x00" + thumbnail + data


def exif_of(body: bytes) -> bytes:
    return bytes(opened(body).info.get("exif", b""))


def xmp_of(body: bytes) -> bytes:
    found = opened(body).info.get("xmp", b"")
    return found if isinstance(found, bytes) else str(found).encode()


def tag_of(block: bytes, wanted: int) -> bytes:
    """Return the bytes of a tag in the main directory, found by another reader than the one under test."""
    tiff = block.removeprefix(b"Exif\x00\x00")
    order = "<" if tiff[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    for index in range(struct.unpack_from(f"{order}H", tiff, at)[0]):
        tag, _, count, place = struct.unpack_from(f"{order}HHII", tiff, at + 2 + 12 * index)
        if tag == wanted:
            start = place if count > 4 else at + 2 + 12 * index + 8
            return tiff[start : start + count]
    return b""


# --- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", HELD)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "notice", [*(text.encode() + b"\x00" for text in NOTICES), b"\xa9 Latin\x00", b"\xff\xfe", b"(C)"]
)
def test_the_copyright_keeps_its_bytes(target: Format, order: str, notice: bytes) -> None:
    body = jpeg((0xE1, exif_block({0x8298: notice, 0x010F: b"SecretCamera\x00"}, order=order)))
    for kept in ("copyright", "all"):
        block = exif_of(resized(body, format=target, metadata=kept))
        assert tag_of(block, 0x8298) == notice
        assert (b"SecretCamera" in block) is (kept == "all")


@pytest.mark.parametrize("target", HELD)
def test_the_artist_alone_is_kept(target: Format) -> None:
    body = jpeg((0xE1, exif_block({0x013B: "Zoë".encode() + b"\x00"})))
    assert tag_of(exif_of(resized(body, format=target, metadata="copyright")), 0x013B) == "Zoë".encode() + b"\x00"


@pytest.mark.parametrize("target", [*HELD, Format.GIF])
@pytest.mark.parametrize("kept", ["copyright", "all"])
def test_rights_in_xmp_are_kept(target: Format, kept: str) -> None:
    properties = (
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Zoë &amp; Co</rdf:li></rdf:Alt></dc:rights>'
        "<dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li></rdf:Seq></dc:creator><xmp:CreatorTool>SecretTool</xmp:CreatorTool>"
    )
    body = jpeg(
        xmp_segment(properties, attributes='xmpRights:WebStatement="https://example.org/l" xmp:Label="SecretLabel"')
    )
    result = resized(body, format=target, metadata=kept)
    found = result if target is Format.GIF else xmp_of(result)
    for wanted in (
        '<rdf:li xml:lang="x-default">© Zoë &amp; Co</rdf:li>',
        "<rdf:li>Zoë</rdf:li>",
        "https://example.org/l",
    ):
        assert wanted.encode() in found
    for secret in (b"SecretTool", b"SecretLabel"):
        assert (secret in found) is (kept == "all")


def test_rights_in_iptc_are_kept_in_a_jpeg_as_they_are() -> None:
    body = jpeg(
        iptc_segment((1, 90, b"\x1b%G"), (2, 80, "Zoë".encode()), (2, 116, "© Zoë".encode()), (2, 25, b"SecretWord"))
    )
    result = resized(body, metadata="copyright")
    found = opened(result).info["photoshop"]
    assert set(found) == {0x0404}
    assert b"\x1c\x02\x50\x00\x04" + "Zoë".encode() in found[0x0404]
    assert b"\x1c\x02\x74\x00\x07" + "© Zoë".encode() in found[0x0404]
    assert b"SecretWord" not in result
    assert b"SecretWord" in resized(body, metadata="all")


@pytest.mark.parametrize("target", [Format.PNG, Format.WEBP, Format.AVIF])
def test_rights_in_iptc_alone_go_where_the_format_has_a_place_for_them(target: Format) -> None:
    body = jpeg(iptc_segment((2, 80, "Zoë".encode()), (2, 116, "© Zoë".encode())))
    block = exif_of(resized(body, format=target, metadata="copyright"))
    assert tag_of(block, 0x013B) == "Zoë".encode() + b"\x00"
    assert tag_of(block, 0x8298) == "© Zoë".encode() + b"\x00"


def test_a_gif_gets_the_rights_as_xmp() -> None:
    body = jpeg((0xE1, exif_block({0x8298: "© Zoë <&>".encode() + b"\x00"})))
    result = resized(body, format="gif", metadata="copyright")
    assert "© Zoë &lt;&amp;&gt;".encode() in result
    assert opened(result).size == (30, 20)
    assert close(rgb_at(result, 0.2, 0.2), pictures.RED)


def test_where_there_are_no_rights_nothing_is_kept() -> None:
    body = jpeg((0xE1, exif_block({0x010F: b"SecretCamera\x00"})), xmp_segment("<xmp:Rating>5</xmp:Rating>"))
    assert resized(body, metadata="copyright") == resized(body, metadata="strip")


def test_the_rights_of_a_packet_too_large_for_a_jpeg_are_kept() -> None:
    rights = "<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>Zoë</rdf:li></rdf:Alt></dc:rights>"
    block = packet(rights + f"<dc:description>{'long ' * 20_000}</dc:description>")
    chunk = b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + block
    body = pictures.encoded(pictures.quarters(60, 40), Format.PNG)
    body = body[:33] + pictures._chunk(b"iTXt", chunk) + body[33:]
    assert "Zoë".encode() in xmp_of(resized(body, format="jpeg", metadata="all"))
    assert b"long long" in xmp_of(resized(body, format="webp", metadata="all"))


# --- what described the old pixels -----------------------------------------------------------------------------------


def adobe_rgb_with_everything() -> bytes:
    image = Image.new("RGB", (60, 40), (10, 120, 200))
    tags = image.getexif()
    tags.update({0x0112: 6, 0x0100: 60, 0x0101: 40, 0x010F: "Camera", 0x8298: "Zoe", 0x011A: IFDRational(300)})
    details = tags.get_ifd(0x8769)
    details.update({0xA001: 0xFFFF, 0xA002: 60, 0xA003: 40, 0x927C: b"maker note", 0x9003: "2026:01:01 00:00:00"})
    details[0xA005] = {1: "R03"}
    body = io.BytesIO()
    image.save(body, "JPEG", exif=tags)
    attributes = (
        'tiff:Orientation="6" exif:PixelXDimension="60" exif:ColorSpace="65535" hdrgm:Version="1.0" xmp:Rating="5" '
        'xmlns:c="http://ns.google.com/photos/1.0/container/" xmlns:i="http://ns.google.com/photos/1.0/container/item/"'
    )
    directory = (
        '<c:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><c:Item i:Semantic="GainMap" i:Length="99"/></rdf:li>'
        "</rdf:Seq></c:Directory><tiff:ImageWidth>60</tiff:ImageWidth>"
    )
    marker, data = xmp_segment(directory, attributes=attributes)
    at = 4 + int.from_bytes(body.getvalue()[4:6], "big")
    return body.getvalue()[:at] + struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data + body.getvalue()[at:]


@pytest.mark.parametrize("target", HELD)
def test_all_adjusts_what_described_the_old_pixels(target: Format) -> None:
    result = resized(adobe_rgb_with_everything(), format=target, metadata="all", width=20)
    picture = opened(result)
    assert picture.size == (20, 30)
    tags = picture.getexif()
    assert (tags.get(0x0112, 1), tags.get(0x0100), tags.get(0x0101)) == (1, None, None)
    assert (tags[0x010F], tags[0x8298], tags[0x011A]) == ("Camera", "Zoe", 300)
    details = tags.get_ifd(0x8769)
    assert (details[0xA001], details[0xA002], details[0xA003]) == (1, 20, 30)
    assert details[0x9003] == "2026:01:01 00:00:00"
    assert 0x927C not in details
    assert 0xA005 not in details
    found = xmp_of(result)
    assert b'xmp:Rating="5"' in found
    for stale in (b"tiff:", b"exif:", b"hdrgm:", b"GainMap", b"Directory"):
        assert stale not in re.sub(rb'xmlns:\w+="[^"]*"', b"", found), stale
    assert b"R03" not in result


def test_a_thumbnail_of_what_was_cropped_away_is_not_kept() -> None:
    thumbnail = pictures.encoded(pictures.plain(8, 8), Format.JPEG)
    first = exif_block({0x8298: b"Ansel Example\x00"})
    tiff = bytearray(first[6:])
    tiff[8 + 2 + 12 : 8 + 2 + 16] = struct.pack("<I", len(tiff))
    second = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 0x0201, 4, 1, len(tiff) + 30, 0x0202, 4, 1, len(thumbnail))
    block = b"Exif\x00\x00" + bytes(tiff) + second + bytes(4) + thumbnail
    area = parse_parameters(CropParameters, {"width": 10, "height": 10, "x": 0, "y": 0, "metadata": "all"})
    result = render(jpeg((0xE1, block)), area, LIMITS).body
    assert tag_of(exif_of(result), 0x8298) == b"Ansel Example\x00"
    assert result.count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize("target", [Format.WEBP, Format.AVIF, Format.PNG])
def test_a_picture_with_metadata_has_the_pixels_of_one_without(target: Format) -> None:
    image = pictures.disc_with_alpha(60, 40).copy()
    image.set_type(library().GValue.blob_type, "exif-data", exif_block({0x8298: b"Zoe Example\x00"}))
    image.set_type(library().GValue.gstr_type, "exif-ifd0-Copyright", "Zoe Example")
    body = pictures.encoded(image, Format.PNG)
    for options in ({}, {"lossless": True}):
        with_it, without = (
            np.asarray(opened(resized(body, format=target, metadata=kept, **options)).convert("RGBA"))
            for kept in ("copyright", "strip")
        )
        assert (with_it == without).all()
    assert tag_of(exif_of(resized(body, format=target, metadata="copyright")), 0x8298) == b"Zoe Example\x00"


def test_an_animation_keeps_its_frames_and_its_rights() -> None:
    body = pictures.animation(Format.WEBP, keep="none")
    # The chunk goes to the end of the file.
    chunk = exif_block({0x8298: b"Zoe Example\x00"})[6:]
    data = body[12:] + b"EXIF" + struct.pack("<I", len(chunk)) + chunk + bytes(len(chunk) % 2)
    data = data[:8] + bytes([data[8] | 8]) + data[9:]
    body = b"RIFF" + struct.pack("<I", len(data) + 4) + b"WEBP" + data
    result = resized(body, animation="all", metadata="copyright")
    assert getattr(opened(result), "n_frames", 1) == 5
    assert tag_of(exif_of(result), 0x8298) == b"Zoe Example\x00"


# --- strangers' bytes ------------------------------------------------------------------------------------------------

_words = st.sampled_from(
    [b"Exif\x00\x00", b"II*\x00", b"MM\x00*", b"\x69\x87", b"\x98\x82", b"8BIM\x04\x04\x00\x00", b"\x1c\x02"]
)
_noise = st.lists(st.binary(max_size=12) | _words, max_size=30).map(b"".join)


@given(
    _noise,
    st.sampled_from(
        [
            exif_block({0x8298: b"abcdef", 0x8769: bytes(4)}),
            iptc_segment((2, 80, b"Zoe"))[1],
            packet("<dc:rights>a</dc:rights>"),
        ]
    ),
    st.integers(0, 400),
    st.integers(0, 255),
)
def test_no_block_of_any_bytes_raises_or_grows(noise: bytes, sound: bytes, at: int, value: int) -> None:
    changed = bytearray(sound)
    changed[at % len(changed)] = value
    cut, headed = (
        sound[: at % len(sound)],
        [b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + noise, b"Photoshop 3.0\x00" + noise],
    )
    for block in (noise, cut, bytes(changed), *headed):
        for made in (
            exif.rights_only(block),
            exif.for_new_pixels(block, SIZE),
            exif.with_rights(block, artist=b"a", notice=b"b"),
            iptc.rights_only(block),
            iptc.for_new_pixels(block),
            xmp.rights_only(block),
            xmp.for_new_pixels(block),
        ):
            assert len(made) < 65_000
        # What was written is read back as the same.
        once = exif.for_new_pixels(block, SIZE)
        assert exif.for_new_pixels(once, SIZE) == once
        assert xmp.for_new_pixels(xmp.for_new_pixels(block)) == xmp.for_new_pixels(block)
        assert iptc.for_new_pixels(iptc.for_new_pixels(block)) == iptc.for_new_pixels(block)


@pytest.mark.parametrize(
    "hostile",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<a>" * 200_000,
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b"<a>" * 500 + b"</a>" * 500 + b"</x:xmpmeta>",
        b"<x " + b" ".join(b'xmlns:p%d="u"' % number for number in range(20_000)) + b"/>",
        b'<?xml version="1.0" encoding="no-such-encoding"?><x/>',
        b"\xff\xfe<\x00x\x00",
    ],
)
def test_hostile_packets_are_dropped(hostile: bytes) -> None:
    assert xmp.rights_only(hostile) == xmp.for_new_pixels(hostile) == b""


def test_many_entries_that_share_one_value_are_bounded() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 2, 50_000, 26) for tag in range(0x9300, 0x9300 + 900))
    block = b"II*\x00" + struct.pack("<IH", 8, 900) + entries + bytes(60_000)
    assert len(exif.for_new_pixels(b"Exif\x00\x00" + block, SIZE)) <= exif.MAX_BYTES + 100
