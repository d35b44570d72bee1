"""Filters an XMP packet (ISO 16684-1): a streaming copy of its XML that leaves properties out.

Nothing is built in memory but the copy, nothing recurses, and a document type (with it every entity) is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

MAX_BYTES = 1_000_000
"""Of a packet that is read; larger ones are dropped."""
JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
MAX_JPEG_BYTES = 65_533 - len(JPEG_HEADER)
"""Of a packet in the one segment that a JPEG has for it."""
_MAX_DEPTH = 100
_MAX_PREFIXES = 300

Name: TypeAlias = tuple[str, str]
"""Namespace and local name."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_DC = "http://purl.org/dc/elements/1.1/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_RIGHTS_NAMESPACES = {
    "http://ns.adobe.com/xap/1.0/rights/",
    "http://creativecommons.org/ns#",
    "http://ns.useplus.org/ldf/xmp/1.0/",
}
_RIGHTS = {
    (_DC, "rights"),
    (_DC, "creator"),
    (_TIFF, "Artist"),
    (_TIFF, "Copyright"),
    ("http://ns.adobe.com/photoshop/1.0/", "Credit"),
    ("http://ns.adobe.com/photoshop/1.0/", "Source"),
    ("http://ns.adobe.com/photoshop/1.0/", "AuthorsPosition"),
    ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "CreatorContactInfo"),
}
# Namespaces in which everything describes the stored pixels or what was stored beside them: gain maps, depth maps,
# second pictures, panoramas, regions of faces.
_ABOUT_OLD_PIXELS_NAMESPACES = {
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.apple.com/pixeldatainfo/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/focus/",
    "http://ns.google.com/photos/1.0/panorama/",
    "http://ns.google.com/photos/dd/1.0/container/",
    "http://ns.google.com/photos/dd/1.0/device/",
    "http://ns.google.com/photos/dd/1.0/image/",
    "http://ns.google.com/photos/dd/1.0/item/",
    "http://ns.google.com/photos/dd/1.0/profile/",
    "http://www.metadataworkinggroup.com/schemas/regions/",
    "http://ns.microsoft.com/photo/1.2/",
    "http://ns.adobe.com/xmp/note/",
    "http://ns.adobe.com/xap/1.0/g/img/",
}
# Of Google's camera, only what refers to a video or a gain map beside the picture.
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_ABOUT_OLD_PIXELS = {
    *((_TIFF, name) for name in (
        "Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation",
        "SamplesPerPixel", "PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning", "YCbCrCoefficients",
        "TransferFunction", "WhitePoint", "PrimaryChromaticities", "ReferenceBlackWhite", "NativeDigest",
    )),
    *((_EXIF, name) for name in (
        "PixelXDimension", "PixelYDimension", "ColorSpace", "ComponentsConfiguration", "CompressedBitsPerPixel",
        "FocalPlaneXResolution", "FocalPlaneYResolution", "FocalPlaneResolutionUnit", "SubjectArea", "SubjectLocation",
        "SpatialFrequencyResponse", "CFAPattern", "NativeDigest", "MakerNote",
    )),
    ("http://cipa.jp/exif/1.0/", "Gamma"),
    ("http://cipa.jp/exif/1.0/", "InteroperabilityIndex"),
    (_XMP, "Thumbnails"),
    (_DC, "format"),
    ("http://ns.adobe.com/photoshop/1.0/", "ICCProfile"),
    ("http://ns.adobe.com/photoshop/1.0/", "ColorMode"),
    ("http://ns.adobe.com/photoshop/1.0/", "LegacyIPTCDigest"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
    *((_CAMERA, name) for name in (
        "MotionPhoto", "MotionPhotoVersion", "MotionPhotoPresentationTimestampUs", "MicroVideo", "MicroVideoVersion",
        "MicroVideoOffset", "MicroVideoPresentationTimestampUs", "HdrPlusMakernote", "hdrp_makernote", "hdrp",
    )),
}  # fmt: skip


class _RefusedError(Exception):
    """The packet is not one that is copied."""


def rights_only(packet: bytes) -> bytes:
    """Return a packet with the properties about rights; empty where there are none or the packet is not valid."""
    return _copied(packet, lambda name: name in _RIGHTS or name[0] in _RIGHTS_NAMESPACES, only_packet=True)


def for_new_pixels(packet: bytes) -> bytes:
    """Return the packet without what described the old pixels; empty where it is not valid."""
    return _copied(packet, lambda name: not _is_about_old_pixels(name), only_packet=False)


def has_rights(packet: bytes) -> bool:
    """Return whether the packet has a copyright notice or an author of its own."""
    return bool(_copied(packet, lambda name: name in {(_DC, "rights"), (_DC, "creator")}, only_packet=True))


def of_rights(*, artist: bytes, notice: bytes) -> bytes:
    """Return a new packet with these two; empty where both are. Bytes that are not UTF-8 are taken for Latin-1."""
    properties = ""
    if artist:
        properties += f"<dc:creator><rdf:Seq><rdf:li>{escape(_decoded(artist))}</rdf:li></rdf:Seq></dc:creator>"
    if notice:
        text = escape(_decoded(notice))
        properties += f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:rights>'
    if not properties:
        return b""
    packet = (
        f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" xmlns:dc="{_DC}">'
        f"{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return packet.encode()


def _decoded(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    # XML 1.0 has no characters for controls and surrogates.
    return "".join(one for one in decoded if one in "\t\n\r" or (one >= " " and one not in "\x7f\ufffe\uffff"))


def _is_about_old_pixels(name: Name) -> bool:
    return name in _ABOUT_OLD_PIXELS or name[0] in _ABOUT_OLD_PIXELS_NAMESPACES


def _copied(packet: bytes, keeps: Callable[[Name], bool], *, only_packet: bool) -> bytes:
    if len(packet) > MAX_BYTES:
        return b""
    copy = _Copy(keeps, only_packet=only_packet)
    try:
        copy.feed(packet.strip(b"\x00 \t\r\n"))
    except (expat.ExpatError, _RefusedError, LookupError, ValueError):
        return b""
    return copy.result()


class _Copy:
    """Copies a packet. `keeps` is asked about each property and, where the whole packet is kept, each element in it.

    With `only_packet`, nothing is copied outside the properties but the elements that must enclose them.
    """

    def __init__(self, keeps: Callable[[Name], bool], *, only_packet: bool) -> None:
        self._keeps = keeps
        self._only_packet = only_packet
        self._scopes: list[dict[str, str]] = [{"xml": "http://www.w3.org/XML/1998/namespace"}]
        self._names: list[Name] = []
        self._skipped_from: int | None = None
        """The depth of the element that is being left out with everything in it."""
        self._out: list[str] = []
        self._properties = 0

    def feed(self, packet: bytes) -> None:
        parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.Parse(packet, True)

    def result(self) -> bytes:
        has_any = self._properties > 0 or not self._only_packet
        return "".join(self._out).encode("utf-8", "replace") if has_any else b""

    def _doctype(self, *_declaration: object) -> None:
        raise _RefusedError

    def _start(self, name: str, attributes: list[str]) -> None:
        if len(self._names) >= _MAX_DEPTH:
            raise _RefusedError
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        self._scopes.append(self._scope_of(pairs))
        resolved = self._resolved(name)
        self._names.append(resolved)
        if self._skipped_from is not None:
            return
        if not self._takes(resolved):
            self._skipped_from = len(self._names)
            return
        kept = [(key, value) for key, value in pairs if self._takes_attribute(key)]
        self._out.append(f"<{name}{''.join(f' {key}={quoteattr(value)}' for key, value in kept)}>")

    def _end(self, name: str) -> None:
        if self._skipped_from is None:
            self._out.append(f"</{name}>")
        elif self._skipped_from == len(self._names):
            self._skipped_from = None
        self._names.pop()
        self._scopes.pop()

    def _text(self, text: str) -> None:
        if self._skipped_from is None and self._names and (self._is_in_property() or not self._only_packet):
            self._out.append(escape(text))

    def _scope_of(self, pairs: list[tuple[str, str]]) -> dict[str, str]:
        declared = {key[6:] if key != "xmlns" else "": value for key, value in pairs if _declares(key)}
        if len(self._scopes[-1]) + len(declared) > _MAX_PREFIXES:
            raise _RefusedError
        return {**self._scopes[-1], **declared} if declared else self._scopes[-1]

    def _resolved(self, name: str, *, is_attribute: bool = False) -> Name:
        prefix, colon, local = name.rpartition(":")
        if is_attribute and not colon:
            return "", local
        return self._scopes[-1].get(prefix, ""), local

    def _is_in_property(self) -> bool:
        return (_RDF, "Description") in self._names[:-1]

    def _takes(self, name: Name) -> bool:
        enclosing = self._names[:-1]
        if enclosing[-1:] == [(_RDF, "Description")]:
            is_kept = self._keeps(name)
            self._properties += is_kept
            return is_kept
        if self._only_packet and not self._is_in_property():
            return name in {(_META, "xmpmeta"), (_RDF, "RDF"), (_RDF, "Description")}
        return self._only_packet or self._keeps(name)

    def _takes_attribute(self, key: str) -> bool:
        if _declares(key):
            return True
        name = self._resolved(key, is_attribute=True)
        if self._names[-1] == (_RDF, "Description") and name[0] not in {"", _RDF}:
            is_kept = self._keeps(name)
            self._properties += is_kept
            return is_kept
        if self._only_packet:
            return self._is_in_property() or name == (_RDF, "about")
        return self._keeps(name)


def _declares(key: str) -> bool:
    return key == "xmlns" or key.startswith("xmlns:")
