"""Says in plain words why a decoder gave up on a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from darkroom.contract.errors import DarkroomError, ImageCorruptError, ImageCrashedError, ImageTruncatedError
from darkroom.imaging import vips
from darkroom.imaging.facts import Facts

# What the decoders say, by what it means. The first that fits counts: libheif and libpng report several lines.
_TRUNCATED = re.compile(
    r"premature end|unexpected end|end of file|end of gif source|not enough (image )?data|truncated|read past end",
    re.IGNORECASE,
)
_MEANINGS = (
    (
        re.compile(r"invalid sos|bogus|progression|progressive/lossless parameters", re.I),
        "a scan contradicts the header",
    ),
    (re.compile(r"huffman", re.I), "a code table is damaged"),
    (re.compile(r"quantization table", re.I), "a quantization table is missing or damaged"),
    (re.compile(r"bad (marker|length)|marker|sof |sos ", re.I), "a marker is damaged or stands in the wrong place"),
    (re.compile(r"crc|checksum|adler", re.I), "a checksum does not fit its data"),
    (re.compile(r"libpng|spng", re.I), "its pixel data or their checksums are damaged"),
    (re.compile(r"parse", re.I), "its container is damaged"),
    (re.compile(r"lzw|frame data|gif", re.I), "a frame is damaged"),
    (re.compile(r"no frames", re.I), "it has no frame"),
    (re.compile(r"decode error|decoder|decoding|bitstream", re.I), "its coded pixels are damaged"),
    (re.compile(r"jpeg", re.I), "its coded pixels are damaged"),
    (re.compile(r"heif|webp", re.I), "its container or its coded pixels are damaged"),
)
_UNKNOWN = "it cannot be decoded"


@contextmanager
def decoding_errors(facts: Facts) -> Iterator[None]:
    """Translate libvips errors while a picture is read: truncated if bytes are missing, else corrupt."""
    pyvips = vips.library()
    try:
        yield
    except pyvips.Error as exc:
        raise _picture_error(facts, str(exc)) from exc


def _picture_error(facts: Facts, fault: str) -> DarkroomError:
    if "out of memory" in fault:
        return ImageCrashedError(f"the worker's memory did not suffice for the {facts.format} picture of {facts.size}")
    about = f"the {facts.format} picture of {facts.input_bytes} bytes"
    if not facts.ends or _TRUNCATED.search(fault):
        return ImageTruncatedError(f"{about} ends early: not all of its pixels are there")
    return ImageCorruptError(f"{about} cannot be decoded: {_meaning(fault)}")


def _meaning(fault: str) -> str:
    return next((meaning for words, meaning in _MEANINGS if words.search(fault)), _UNKNOWN)
