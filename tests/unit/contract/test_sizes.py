from __future__ import annotations

import pytest

from darkroom.contract.sizes import parse_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1048576", 2**20), ("512Mi", 512 * 2**20), ("2Gi", 2**31), ("1.5Gi", 3 * 2**29), ("500M", 500_000_000)],
)
def test_kubernetes_quantities_are_read(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "Gi", "2GB", "-1Mi", "1e3", "2 Gi", "x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_bytes(text)
