from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.local.children.processes import LineBuffer


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), min_size=1), st.integers(1, 30))
def test_however_the_bytes_arrive_the_lines_are_the_same(lines: list[bytes], chunk_bytes: int) -> None:
    written = b"".join(line + b"\n" for line in lines)
    buffer = LineBuffer(max_bytes=100)

    read: list[bytes] = []
    for start in range(0, len(written), chunk_bytes):
        read += buffer.feed(written[start : start + chunk_bytes])

    assert read + buffer.end() == lines


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(chunk_bytes: int) -> None:
    written = b"x" * 500 + b"\nnext\n" + b"y" * 11 + b"\nlast"
    buffer = LineBuffer(max_bytes=10)

    read: list[bytes] = []
    for start in range(0, len(written), chunk_bytes):
        read += buffer.feed(written[start : start + chunk_bytes])

    assert read + buffer.end() == [b"x" * 10, b"next", b"y" * 10, b"last"]


def test_a_line_without_an_end_holds_no_more_memory_than_its_limit() -> None:
    buffer = LineBuffer(max_bytes=10)

    for _ in range(1000):
        buffer.feed(b"x" * 1000)

    assert len(buffer.end()) == 0
