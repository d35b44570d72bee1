"""Parses a multipart form as it streams in: the part `image` is handed on piece by piece, parameters are small fields,
all of it is bounded.
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from darkroom.contract.errors import FieldError, InputTooLargeError, InputUnsupportedError, ParametersInvalidError

IMAGE_PART = "image"
MAX_BOUNDARY_BYTES = 70
"""RFC 2046, section 5.1.1."""
MAX_FIELDS = 64
MAX_FIELD_BYTES = 4096
MAX_DOCUMENT_BYTES = 64 * 1024
"""Of a field that holds a JSON document."""
DOCUMENT_FIELDS = frozenset({"renditions"})
MAX_PART_HEADER_BYTES = 8192


class MultipartForm:
    """Feed it chunks and take the picture's pieces, then call `finish`. All raise RejectedError as soon as the form
    breaks a limit.
    """

    def __init__(self, content_type: str, *, max_image_bytes: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary or len(boundary) > MAX_BOUNDARY_BYTES:
            limit = f"1 to {MAX_BOUNDARY_BYTES} bytes"
            raise InputUnsupportedError(f"multipart/form-data needs a boundary of {limit} in its Content-Type")
        self._max_image_bytes = max_image_bytes
        self._fields: list[tuple[str, str]] = []
        self._has_image = False
        self._image_pieces: list[bytes] = []
        self._part: list[bytes] = []
        self._part_bytes = 0
        self._part_name = ""
        self._part_is_file = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _malformed(str(exc)) from exc

    def take_image(self) -> list[bytes]:
        """Return what has come of the picture since the last call."""
        pieces, self._image_pieces = self._image_pieces, []
        return pieces

    def finish(self) -> list[tuple[str, str]]:
        """Return the parameter fields in their order."""
        if not self._ended:
            raise _malformed("it ends before its closing boundary")
        if not self._has_image:
            raise ParametersInvalidError([FieldError(field=IMAGE_PART, message="required: the picture's part")])
        return self._fields

    def _on_part_begin(self) -> None:
        self._part, self._part_bytes, self._part_name, self._disposition = [], 0, "", b""
        self._header_name.clear()
        self._header_value.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header_size()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header_size()

    def _check_header_size(self) -> None:
        size = len(self._header_name) + len(self._header_value)
        if size > MAX_PART_HEADER_BYTES:
            raise InputTooLargeError(f"a part's header has more than {MAX_PART_HEADER_BYTES} bytes")

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part_name = options.get(b"name", b"").decode("utf-8", "replace")
        self._part_is_file = b"filename" in options
        if not self._part_name:
            raise _malformed("a part has no name")
        if self._part_name == IMAGE_PART and self._has_image:
            raise ParametersInvalidError([FieldError(field=IMAGE_PART, message="given more than once")])
        if len(self._fields) >= MAX_FIELDS:
            raise ParametersInvalidError(
                [FieldError(field="parameters", message=f"the form has more than {MAX_FIELDS} fields")]
            )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        # Pieces that are joined once: a growing bytearray is moved again and again.
        is_image = self._part_name == IMAGE_PART
        (self._image_pieces if is_image else self._part).append(data[start:end])
        self._part_bytes += end - start
        if is_image and self._part_bytes > self._max_image_bytes:
            raise InputTooLargeError(
                f"the picture has more than {self._max_image_bytes} bytes, the limit ({self._part_bytes} were read)"
            )
        max_bytes = MAX_DOCUMENT_BYTES if self._part_name in DOCUMENT_FIELDS else MAX_FIELD_BYTES
        if not is_image and self._part_bytes > max_bytes:
            raise self._unusable_field(f"has more than {max_bytes} bytes")

    def _on_part_end(self) -> None:
        if self._part_name == IMAGE_PART:
            self._has_image = True
            return
        try:
            self._fields.append((self._part_name, b"".join(self._part).decode()))
        except UnicodeDecodeError as exc:
            raise self._unusable_field("is not UTF-8") from exc

    def _unusable_field(self, problem: str) -> ParametersInvalidError:
        """Build the error of a part that can be no parameter; a file in it is most likely the picture."""
        if self._part_is_file:
            problem = f"is a file that {problem}; the picture's part is named {IMAGE_PART!r}: -F {IMAGE_PART}=@FILE"
        return ParametersInvalidError([FieldError(field=self._part_name[:80], message=problem)])

    def _on_end(self) -> None:
        self._ended = True


def _malformed(reason: str) -> ParametersInvalidError:
    return ParametersInvalidError([FieldError(field="body", message=f"not a multipart form: {reason}")])
