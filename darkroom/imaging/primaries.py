"""Converts linear RGB of other primaries to that of sRGB: chromaticities and 3x3 matrices, no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Vector: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Vector, Vector, Vector]
Point: TypeAlias = tuple[float, float]
"""CIE 1931 x and y."""


@dataclass(frozen=True, kw_only=True)
class Primaries:
    white: Point
    red: Point
    green: Point
    blue: Point

    @property
    def are_usable(self) -> bool:
        """Return whether the three span a plane and each of the four can be divided by its y."""
        (rx, ry), (gx, gy), (bx, by) = self.red, self.green, self.blue
        area = (gx - rx) * (by - ry) - (bx - rx) * (gy - ry)
        return abs(area) > _LEAST_AREA and min(ry, gy, by, self.white[1]) > 0

    def is_like(self, other: Primaries) -> bool:
        mine, others = (self.white, self.red, self.green, self.blue), (other.white, other.red, other.green, other.blue)
        return all(
            abs(a - b) < _TOLERANCE
            for one, two in zip(mine, others, strict=True)
            for a, b in zip(one, two, strict=True)
        )


_LEAST_AREA = 1e-4
_TOLERANCE = 2e-3
_D65, _DCI_WHITE, _C, _E = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316), (1 / 3, 1 / 3)
SRGB = Primaries(white=_D65, red=(0.640, 0.330), green=(0.300, 0.600), blue=(0.150, 0.060))
_BT601_525 = Primaries(white=_D65, red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070))
# ITU-T H.273 (07/2024), table 2.
BY_CODE_POINT: dict[int, Primaries] = {
    1: SRGB,
    4: Primaries(white=_C, red=(0.67, 0.33), green=(0.21, 0.71), blue=(0.14, 0.08)),
    5: Primaries(white=_D65, red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06)),
    6: _BT601_525,
    7: _BT601_525,
    8: Primaries(white=_C, red=(0.681, 0.319), green=(0.243, 0.692), blue=(0.145, 0.049)),
    9: Primaries(white=_D65, red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046)),
    11: Primaries(white=_DCI_WHITE, red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060)),
    12: Primaries(white=_D65, red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060)),
    22: Primaries(white=_D65, red=(0.630, 0.340), green=(0.295, 0.605), blue=(0.155, 0.077)),
}
# Adapts one white to another (ICC.1:2022, annex E, linear Bradford).
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def to_linear_srgb(primaries: Primaries) -> Matrix:
    """Return the matrix from linear RGB of these primaries to linear sRGB, whose white is white again."""
    adapted = _product(_adaptation(primaries.white, SRGB.white), _to_xyz(primaries))
    return _product(_inverse(_to_xyz(SRGB)), adapted)


def luminance(primaries: Primaries) -> Vector:
    """Return what each channel contributes to the luminance of white, 1 in all."""
    return _to_xyz(primaries)[1]


def _to_xyz(primaries: Primaries) -> Matrix:
    """Return the matrix from linear RGB to CIE XYZ (SMPTE RP 177:1993, 3.3)."""
    columns = [_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)]
    unscaled: Matrix = (
        (columns[0][0], columns[1][0], columns[2][0]),
        (columns[0][1], columns[1][1], columns[2][1]),
        (columns[0][2], columns[1][2], columns[2][2]),
    )
    return _with_columns_scaled(unscaled, _applied(_inverse(unscaled), _xyz(primaries.white)))


def _adaptation(source: Point, target: Point) -> Matrix:
    before, after = _applied(_BRADFORD, _xyz(source)), _applied(_BRADFORD, _xyz(target))
    gains = (after[0] / before[0], after[1] / before[1], after[2] / before[2])
    return _product(_with_columns_scaled(_inverse(_BRADFORD), gains), _BRADFORD)


def _xyz(point: Point) -> Vector:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _applied(matrix: Matrix, vector: Vector) -> Vector:
    return _dot(matrix[0], vector), _dot(matrix[1], vector), _dot(matrix[2], vector)


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    first, second, third = (_applied(left, column) for column in columns)
    return _transposed((first, second, third))


def _transposed(matrix: Matrix) -> Matrix:
    first, second, third = zip(*matrix, strict=True)
    return first, second, third


def _with_columns_scaled(matrix: Matrix, factors: Vector) -> Matrix:
    first, second, third = ((row[0] * factors[0], row[1] * factors[1], row[2] * factors[2]) for row in matrix)
    return first, second, third


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return (
        ((e * i - f * h) / determinant, (c * h - b * i) / determinant, (b * f - c * e) / determinant),
        ((f * g - d * i) / determinant, (a * i - c * g) / determinant, (c * d - a * f) / determinant),
        ((d * h - e * g) / determinant, (b * g - a * h) / determinant, (a * e - b * d) / determinant),
    )
