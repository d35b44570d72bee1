"""Says in plain words why a decoder gave up on a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from darkroom.contract.errors import (
    DarkroomError,
    ImageCorruptError,
    ImageCrashedError,
    ImageTruncatedError,
    InputUnsupportedError,
)
from darkroom.imaging import vips
from darkroom.imaging.facts import Facts

_TRUNCATED = re.compile(
    r"premature end|unexpected end|end of file|end of gif source|not enough (image )?data|truncated|read past end",
    re.IGNORECASE,
)
# libheif: "heif: Unsupported feature: Unspecified: WORDS (NUMBERS)".
_UNSUPPORTED = re.compile(
    r"heif: Unsupported feature: (?:Unspecified: )?(?P<feature>[^\n]*?) *(?:\([\d.]+\))?$", re.MULTILINE
)
# What the decoders say, in the order in which it is looked for, and what it means.
_MEANINGS = tuple(
    (re.compile(words, re.IGNORECASE), meaning)
    for words, meaning in (
        (r"huffman table", "a code table is missing or damaged"),
        (r"quantization table", "a quantization table is missing or damaged"),
        (r"invalid sos|progressi", "a scan contradicts the header"),
        (r"bogus marker|unsupported marker|marker length", "a marker is damaged or stands in the wrong place"),
        (r"corrupt jpeg data|jpeg", "its coded pixels are damaged"),
        (r"png", "its pixels or their checksums are damaged"),
        (r"no frames", "it has no frame"),
        (r"gif", "a frame is damaged"),
        (r"unable to parse|invalid input|unsupported file-type", "its container is damaged"),
    )
)
_CORRUPT_FRAME = re.compile(r"corrupt frame|bitstream|decoder", re.IGNORECASE)
_DAMAGED_PIXELS = "its coded pixels are damaged"


@contextmanager
def decoding_errors(facts: Facts) -> Iterator[None]:
    """Translate libvips errors while a picture is read: truncated if bytes are missing, else corrupt."""
    pyvips = vips.library()
    try:
        yield
    except pyvips.Error as exc:
        raise _picture_error(facts, str(exc)) from exc
    except UnicodeDecodeError as exc:
        # libheif quotes the file's bytes in its messages, and pyvips takes them for UTF-8.
        raise _picture_error(facts, exc.object.decode(errors="replace")) from exc


def _picture_error(facts: Facts, fault: str) -> DarkroomError:
    if "out of memory" in fault:
        return ImageCrashedError(f"the worker's memory did not suffice for the {facts.format} picture of {facts.size}")
    about = f"the {facts.format} picture of {facts.input_bytes} bytes"
    if _TRUNCATED.search(fault):
        return ImageTruncatedError(f"{about} ends early: not all of its pixels are there")
    unsupported = _UNSUPPORTED.search(fault)
    if unsupported is not None:
        return InputUnsupportedError(f"{about} uses what its decoder does not support: {unsupported['feature']}")
    return ImageCorruptError(f"{about} cannot be decoded: {_meaning(fault)}")


def _meaning(fault: str) -> str:
    if _CORRUPT_FRAME.search(fault):
        return _DAMAGED_PIXELS
    return next((meaning for words, meaning in _MEANINGS if words.search(fault)), _DAMAGED_PIXELS)
