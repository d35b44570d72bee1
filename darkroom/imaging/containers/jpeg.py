"""Walks the markers of a JPEG (ITU-T T.81, annex B).

The scans' entropy-coded bytes are not decoded, only searched for the marker behind them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from darkroom.contract.errors import InputUnsupportedError
from darkroom.imaging.containers import exif, icc
from darkroom.imaging.containers.contents import ColourDescription, Contents
from darkroom.imaging.containers.inflow import Steps
from darkroom.imaging.containers.walker import Walker
from darkroom.imaging.geometry import Size

# Fill bytes may precede a marker, a zero follows 0xFF in entropy-coded data, and restart markers belong to it
# (B.1.1.2, B.1.1.5, F.1.2.3).
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_EOI, _SOS, _DNL, _DHP, _EXP, _DAC, _TEM = 0xD9, 0xDA, 0xDC, 0xDE, 0xDF, 0xCC, 0x01
_SOI, _APP0, _APP1, _APP2, _APP13, _APP14, _APP15, _COM = 0xD8, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE
_TABLES = (0xC4, 0xDB, 0xDD)
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, _DAC}
# Table B.1. What no decoder of ours reads, or not without missing damage: libjpeg's arithmetic decoder takes any bytes.
_UNSUPPORTED_PROCESSES = {
    0xC3: "lossless coding (SOF3)",
    0xC5: "hierarchical coding (SOF5)",
    0xC6: "hierarchical coding (SOF6)",
    0xC7: "hierarchical lossless coding (SOF7)",
    0xC9: "arithmetic coding (SOF9)",
    0xCA: "arithmetic coding (SOF10)",
    0xCB: "lossless arithmetic coding (SOF11)",
    0xCD: "hierarchical arithmetic coding (SOF13)",
    0xCE: "hierarchical arithmetic coding (SOF14)",
    0xCF: "hierarchical lossless arithmetic coding (SOF15)",
    _DHP: "hierarchical coding (DHP)",
    _EXP: "hierarchical coding (EXP)",
}
_EXIF, _XMP, _ICC, _IPTC = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00", icc.JPEG_PREFIX, b"Photoshop 3.0\x00"
_ADOBE, _JFIF = b"Adobe", b"JFIF\x00"
# Where their segments have the revision and the colour transform, and the transforms of three and of four components:
# libjpeg warns of any other, and takes the last.
_JFIF_REVISION, _ADOBE_TRANSFORM = 5, 11
_TRANSFORMS = {3: (0, 1), 4: (0, 2)}
# What the decoder sees of these markers, each once; the rest is left out unread.
_KEPT = {
    _APP0: (_JFIF,),
    _APP1: (_EXIF, _XMP),
    _APP13: (_IPTC,),
    _APP14: (_ADOBE,),
}
_LONGEST_PREFIX = max(len(_XMP), len(_ICC))
_COEFFICIENTS = 64
_ALL_COEFFICIENTS = (1 << _COEFFICIENTS) - 1
_MOST_COMPONENTS_IN_SCAN = 4


@dataclass
class _Component:
    factors: tuple[int, int]
    missing: int = _ALL_COEFFICIENTS
    """Coefficients that no scan has completed yet, a bit each."""


class JpegWalker(Walker):
    format = "jpeg"
    bits: ClassVar[int] = 8

    _process = 0
    _size: Size | None = None
    _scans = 0
    _orientation = 1
    _has_icc = False
    _transform: tuple[int, int] | None = None
    """Offset and value of Adobe's colour transform."""
    _ended = False

    def _walk(self) -> Steps[None]:
        self._components: dict[int, _Component] = {}
        self._kept: set[bytes] = set()
        self._icc = icc.JpegProfile()
        self._profile_segments: list[tuple[int, int]] = []
        inflow = self._inflow
        yield from inflow.need(2)
        inflow.position += 2
        while True:
            start = inflow.offset
            marker = yield from self._next_marker()
            if self._scans == 0:
                # Bytes between segments: libjpeg skips them with a warning.
                self._drop(start, inflow.offset - 2)
            if marker == _EOI:
                self._ended = True
                if self._edits is not None:
                    self._edits.end(inflow.offset, b"")
                return
            self._count_part()
            if marker != _TEM:
                yield from self._segment(marker)

    def _next_marker(self) -> Steps[int]:
        """Consume everything up to and including the next marker."""
        inflow = self._inflow
        while True:
            if inflow.available > 0:
                found = _MARKER.search(inflow.data, inflow.position)
                if found is not None:
                    inflow.position = found.end()
                    return inflow.data[found.end() - 1]
                # The last byte may be the first of a marker.
                inflow.position = len(inflow.data) - (inflow.data[-1] == 0xFF)
            yield

    def _segment(self, marker: int) -> Steps[None]:
        inflow = self._inflow
        if marker in _UNSUPPORTED_PROCESSES:
            self._refuse(_UNSUPPORTED_PROCESSES[marker])
        if marker == _SOI:
            raise self._corrupt("a picture begins inside the picture")
        start = inflow.offset - 2
        yield from inflow.need(2)
        length = int.from_bytes(inflow.data[inflow.position : inflow.position + 2], "big")
        if length < 2:
            raise self._corrupt(f"a segment claims a length of {length}, the least is 2")
        inflow.position += 2
        end = start + 2 + length
        if marker in _FRAME_HEADERS:
            self._frame_header(marker, (yield from inflow.take(length - 2)))
        elif marker == _SOS:
            self._scan_header((yield from inflow.take(length - 2)), end)
        elif _APP0 <= marker <= _APP15 or marker == _COM:
            yield from self._application_segment(marker, start, length - 2)
        elif marker not in _TABLES and self._scans == 0:
            self._drop(start, end)
        inflow.position += end - inflow.offset

    def _frame_header(self, process: int, header: bytes) -> None:
        """Read the frame header (B.2.2)."""
        if self._size is not None:
            raise self._corrupt("there is more than one frame header")
        if len(header) < 6 or len(header) < 6 + 3 * header[5]:
            raise self._corrupt("the frame header is too short")
        precision, count = header[0], header[5]
        size = Size(width=int.from_bytes(header[3:5], "big"), height=int.from_bytes(header[1:3], "big"))
        if precision != self.bits:
            self._refuse(f"{precision} bits per sample; only {self.bits} are allowed")
        if size.width == 0:
            raise self._corrupt("the width is 0")
        if size.height == 0:
            self._refuse("a height that is given behind the first scan (DNL)")
        if count not in (1, 3, 4):
            self._refuse(f"{count} components; only 1, 3 and 4 are allowed")
        self._checks.size(size)
        self._process, self._size = process, size
        for offset in range(6, 6 + 3 * count, 3):
            self._add_component(header[offset], divmod(header[offset + 1], 16))
        self._refuse_fractional_sampling()

    def _add_component(self, identifier: int, factors: tuple[int, int]) -> None:
        if not all(1 <= factor <= 4 for factor in factors):
            raise self._corrupt(f"the sampling factors of component {identifier} are {factors[0]} and {factors[1]}")
        if identifier in self._components:
            # libjpeg renumbers such a component, and a scan names it by the new number.
            identifier = max(self._components) + 1
        self._components[identifier] = _Component(factors)

    def _refuse_fractional_sampling(self) -> None:
        for axis in (0, 1):
            most = max(component.factors[axis] for component in self._components.values())
            if any(most % component.factors[axis] for component in self._components.values()):
                self._refuse("components that are sampled in a ratio other than 1, 2, 3 or 4 to 1")

    def _scan_header(self, header: bytes, end: int) -> None:
        """Read the scan header (B.2.3)."""
        if self._size is None:
            raise self._corrupt("a scan comes before the frame header")
        count = header[0] if header else 0
        if not 1 <= count <= _MOST_COMPONENTS_IN_SCAN or len(header) < 4 + 2 * count:
            raise self._corrupt("the scan header is too short")
        if self._scans == 0:
            self._spare_warnings()
        self._scans += 1
        self._checks.scans(self._scans)
        first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
        if self._process == _PROGRESSIVE:
            completed = (1 << last + 1) - (1 << first) if first <= last and approximation & 15 == 0 else 0
        else:
            completed = _ALL_COEFFICIENTS
            # Sequential scans have no use for these (table B.3), and some cameras write zeros.
            self._replace(end - 3, bytes((0, _COEFFICIENTS - 1, 0)), header[1 + 2 * count : 4 + 2 * count])
        for offset in range(1, 1 + 2 * count, 2):
            if header[offset] in self._components:
                self._components[header[offset]].missing &= ~completed

    def _application_segment(self, marker: int, start: int, length: int) -> Steps[None]:
        inflow = self._inflow
        end = inflow.offset + length
        yield from inflow.need(min(length, _LONGEST_PREFIX))
        prefix = inflow.data[inflow.position : inflow.position + min(length, _LONGEST_PREFIX)]
        if self._scans > 0:
            # The decoder has read the header by then.
            self._drop(start, end)
        elif marker == _APP2 and prefix.startswith(_ICC):
            if self._icc.add(prefix, length):
                self._profile_segments.append((start, end))
            else:
                self._drop(start, end)
        else:
            known = next((one for one in _KEPT.get(marker, ()) if prefix.startswith(one)), None)
            if known is None or known in self._kept:
                self._drop(start, end)
                return
            self._kept.add(known)
            if known == _EXIF:
                self._orientation = exif.orientation_of((yield from inflow.take(length)))
            elif known == _JFIF:
                self._replace(inflow.offset + _JFIF_REVISION, b"\x01", prefix[_JFIF_REVISION : _JFIF_REVISION + 1])
            elif known == _ADOBE and length > _ADOBE_TRANSFORM:
                self._transform = inflow.offset + _ADOBE_TRANSFORM, prefix[_ADOBE_TRANSFORM]

    def _spare_warnings(self) -> None:
        """Mend what libjpeg would warn of but reads. It shows only its first warning, which might hide damage."""
        if not self._icc.is_complete:
            for start, end in self._profile_segments:
                self._drop(start, end)
        known = _TRANSFORMS.get(len(self._components))
        if self._transform is not None and known is not None and self._transform[1] not in known:
            self._replace(self._transform[0], bytes(known[-1:]), b"")

    def _contents(self) -> Contents:
        if self._size is None:
            if self._ended:
                raise self._corrupt("it has no frame header")
            raise self._truncated("its frame header is missing")
        if self._scans == 0:
            if self._ended:
                raise self._corrupt("it has no scan")
            raise self._truncated("its first scan is missing")
        if self._lacks_scans():
            raise self._truncated("not every component and coefficient has its scan")
        if not self._ended and self._edits is not None:
            self._edits.end(self._inflow.total, b"\xff\xd9")
        return Contents(
            coded=self._size,
            orientation=self._orientation,
            bands=len(self._components),
            scans=self._scans,
            progressive=self._process == _PROGRESSIVE,
            colour=ColourDescription(has_icc=self._icc.is_complete),
            ends=self._ended,
        )

    def _lacks_scans(self) -> bool:
        """Return whether scans are known to be missing. A progressive picture may end early on purpose, if it ends."""
        if self._process == _PROGRESSIVE and self._ended:
            return any(component.missing == _ALL_COEFFICIENTS for component in self._all)
        return any(component.missing for component in self._all)

    @property
    def _all(self) -> list[_Component]:
        return list(self._components.values())

    def _refuse(self, feature: str) -> NoReturn:
        raise InputUnsupportedError(f"the jpeg picture uses {feature}; store it as a baseline or progressive jpeg")

    def _drop(self, start: int, end: int) -> None:
        if self._edits is not None and end > start:
            self._edits.drop(start, end)

    def _replace(self, start: int, data: bytes, found: bytes) -> None:
        if self._edits is not None and data != found:
            self._edits.replace(start, data)
