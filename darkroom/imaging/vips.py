"""Starts and configures libvips, and wraps its untyped API. The only module that does.

Nothing here runs at import: functions are imported in gunicorn's master before it forks, and libvips must start in the
worker. `library()` starts it on first use. No picture logic belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeAlias

from darkroom.contract.errors import InternalError
from darkroom.contract.parameters.values import Format

Image: TypeAlias = Any
"""A `pyvips.Image`. pyvips ships no types."""

_LOADERS = {
    Format.JPEG: "VipsForeignLoadJpegSource",
    Format.PNG: "VipsForeignLoadPngSource",
    Format.WEBP: "VipsForeignLoadWebpSource",
    Format.GIF: "VipsForeignLoadNsgifSource",
    Format.AVIF: "VipsForeignLoadHeifSource",
}
_SAVERS = {
    Format.JPEG: "VipsForeignSaveJpegBuffer",
    Format.PNG: "VipsForeignSavePngBuffer",
    Format.WEBP: "VipsForeignSaveWebpBuffer",
    Format.GIF: "VipsForeignSaveCgifBuffer",
    Format.AVIF: "VipsForeignSaveHeifBuffer",
}
_NICKNAMES = {Format.JPEG: "jpeg", Format.PNG: "png", Format.WEBP: "webp", Format.GIF: "gif", Format.AVIF: "heif"}
# libjpeg's messages, from its jerror.h. Its other warnings report damage.
_HARMLESS_WARNINGS = (
    "extraneous bytes before marker",
    "unknown JFIF revision",
    "Unknown Adobe color transform",
    "bad ICC marker",
    "too many scanlines",
)
_JPEG_MESSAGE = "VipsJpeg: "
_METADATA_FIELDS = ("exif-", "xmp-data", "iptc-data")
_PALETTE_FIELD = "gif-palette"
_SHOWN_FAULT_CHARACTERS = 200
_starting = Lock()


def library() -> Any:
    """Return the pyvips module, started and locked down.

    `cache` alone lets two threads in at once, and the second would block the loaders that the first has just allowed:
    its pictures would be refused as corrupt.
    """
    with _starting:
        return _started_library()


@cache
def _started_library() -> Any:
    import pyvips

    # One thread per picture: the workers are processes, and equal input must give equal bytes.
    pyvips.concurrency_set(1)
    # No operation runs twice, so the cache would only keep users' pixels in memory.
    pyvips.cache_set_max(0)
    # Block all loaders, then allow ten. VIPS_BLOCK_UNTRUSTED leaves GIF, TIFF and HEIF on.
    pyvips.operation_block_set("VipsForeignLoad", True)
    pyvips.operation_block_set("VipsForeignSave", True)
    for name in (*_LOADERS.values(), *_SAVERS.values()):
        pyvips.operation_block_set(name, False)
    return pyvips


def load(format: Format, body: bytes, *, strict: bool = False, **options: Any) -> Image:
    """Open a body. The pixels are decoded later, on demand and once, from top to bottom.

    libvips' `fail_on`: without `error`, half a JPEG succeeds and the rest is grey. `strict` makes it `warning` for
    JPEG, because libjpeg only warns of damaged pixels, fills them with grey and continues.
    """
    fail_on = "warning" if strict and format is Format.JPEG else "error"
    pyvips = library()
    forget_messages()
    # From a source libvips reads the body in place; from a buffer it would read a copy.
    source = pyvips.Source.new_from_memory(body)
    loader: Callable[..., Image] = getattr(pyvips.Image, f"{_NICKNAMES[format]}load_source")
    image = loader(source, access="sequential", fail_on=fail_on, **options)
    # As pyvips' own `new_from_source` does: the body must live as long as any image made from it.
    image._references.append(source)
    return image


def save(format: Format, image: Image, **options: Any) -> bytes:
    saver: Callable[..., bytes] = getattr(image, f"{_NICKNAMES[format]}save_buffer")
    return bytes(saver(**options))


def is_harmless(fault: str) -> bool:
    """Return whether a strict decoder stopped at a warning that does not affect the pixels."""
    return any(words in fault for words in _HARMLESS_WARNINGS)


def forget_messages() -> None:
    """Empty libvips' buffer of messages. One buffer serves all threads of the process."""
    library().vips_lib.vips_error_clear()


def decoder_warning() -> str:
    """Return the first warning of libjpeg since the messages were forgotten, or nothing."""
    pyvips = library()
    messages = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer()).decode(errors="replace")
    return next((line for line in messages.splitlines() if line.startswith(_JPEG_MESSAGE)), "")


def has_field(image: Image, name: str) -> bool:
    return bool(image.get_typeof(name) != 0)


def orientation(image: Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is absent or invalid."""
    value = image.get("orientation") if has_field(image, "orientation") else 1
    return int(value) if 1 <= value <= 8 else 1


def is_av1(image: Image) -> bool:
    """Return whether the HEIF decoder identifies an image as AVIF."""
    return bool(image.get("heif-compression") == "av1")


def palette_size(image: Image) -> int:
    """Return the number of colours in the palette with which the picture was stored; 0 where there was none."""
    return len(image.get(_PALETTE_FIELD)) if has_field(image, _PALETTE_FIELD) else 0


def without_palette(image: Image) -> Image:
    forgetful = image.copy()
    forgetful.remove(_PALETTE_FIELD)
    return forgetful


def with_metadata_of(image: Image, source: Image) -> Image:
    """Copy the EXIF, XMP and IPTC of another picture where this one has none."""
    described = image.copy()
    for name in source.get_fields():
        if name.startswith(_METADATA_FIELDS) and not has_field(described, name):
            described.set_type(source.get_typeof(name), name, source.get(name))
    return described


def set_text(image: Image, name: str, value: str) -> None:
    image.set_type(library().GValue.gstr_type, name, value)


def set_blob(image: Image, name: str, value: bytes) -> None:
    image.set_type(library().GValue.blob_type, name, value)


def set_number(image: Image, name: str, value: int) -> None:
    image.set_type(library().GValue.gint_type, name, value)


def set_numbers(image: Image, name: str, values: Sequence[int]) -> None:
    image.set_type(library().GValue.array_int_type, name, list(values))


def area_reader(image: Image) -> Callable[[int, int, int, int], bytes]:
    """Return a function that copies the area of a left, a top, a width and a height out of a picture in memory.

    It takes half as long as `Region.fetch`, which counts where many small areas are read.
    """
    pyvips = library()
    region = pyvips.Region.new(image)
    length = pyvips.ffi.new("size_t *")

    def read(left: int, top: int, width: int, height: int) -> bytes:
        pointer = pyvips.vips_lib.vips_region_fetch(region.pointer, left, top, width, height, length)
        if pointer == pyvips.ffi.NULL:
            raise pyvips.Error("unable to fetch from region")
        try:
            return bytes(pyvips.ffi.buffer(pointer, length[0]))
        finally:
            pyvips.glib_lib.g_free(pointer)

    return read


def upright(image: Image, orientation: int) -> Image:
    """Rotate and mirror as the EXIF orientation says, and remove the field. The picture must be in memory."""
    if orientation == 1:
        return image
    turned = image.copy()
    set_number(turned, "orientation", orientation)
    return turned.autorot()


@contextmanager
def internal_errors() -> Iterator[None]:
    """Translate libvips errors once the pixels are in memory, when the picture can no longer be the cause."""
    pyvips = library()
    try:
        yield
    except pyvips.Error as exc:
        raise InternalError(f"libvips: {_shortened(str(exc))}") from exc


def _shortened(fault: str) -> str:
    """Return libvips' message on one line, without pyvips' own first line, truncated."""
    lines = [line.strip() for line in fault.splitlines() if line.strip()]
    return " / ".join(lines[1:] or lines)[:_SHOWN_FAULT_CHARACTERS]
