"""Generates a picture that behaves like a photograph, so that the demonstration, the gallery, the benchmarks and the
tests need no downloaded one: a landscape with a sky, hazy ridges, a meadow with flowers, and sensor noise.

What matters is its statistics: large smooth areas, edges, fine texture, all colours, noise. Equal arguments give equal
bytes.
"""

from __future__ import annotations

from math import ceil, sqrt
from random import Random
from typing import TypeAlias

from darkroom.imaging.vips import Image, library

_Rgb: TypeAlias = tuple[float, float, float]

_ZENITH: _Rgb = (58, 104, 178)
_HORIZON: _Rgb = (250, 214, 170)
_CLOUD: _Rgb = (252, 246, 240)
_SUN: _Rgb = (255, 236, 190)
# From the farthest ridge, blue with haze, to the meadow in the foreground.
_RIDGES: tuple[tuple[float, float, _Rgb], ...] = (
    (0.46, 0.10, (138, 158, 190)),
    (0.55, 0.12, (96, 118, 140)),
    (0.64, 0.10, (62, 88, 72)),
    (0.74, 0.05, (74, 104, 40)),
)
_PETALS: tuple[_Rgb, ...] = ((214, 38, 44), (244, 196, 34), (236, 236, 246), (150, 62, 178), (246, 120, 30))
_FLOWERS = 110
_GRAIN_SIGMA = 3.5
_GRAIN_TILE_PX = 512
_NOISE_TILE_PX = (64, 640)
_QUALITY = 90
# The scene is painted no larger than this and enlarged: as soft as through a lens, and a fraction of the work.
_PAINTED_PIXELS = 1_500_000


def make_photograph(width_px: int, height_px: int, *, seed: int = 1) -> bytes:
    """Generate a JPEG of exactly that size. Twelve megapixels take one to two seconds of one core."""
    return bytes(photograph(width_px, height_px, seed=seed).jpegsave_buffer(Q=_QUALITY))


def photograph(width_px: int, height_px: int, *, seed: int = 1) -> Image:
    """Generate the same picture unencoded: sRGB, 8 bits, in memory."""
    random = Random(seed)  # noqa: S311 a picture, not a secret
    reduction = max(1, ceil(sqrt(width_px * height_px / _PAINTED_PIXELS)))
    canvas = _Canvas(random, max(2, -(-width_px // reduction)), max(2, -(-height_px // reduction)))
    painted = canvas.painted().cast("uchar").copy_memory()
    enlarged = painted.resize(reduction, kernel="cubic") if reduction > 1 else painted
    grained = enlarged.extract_area(0, 0, width_px, height_px) + _grain(random, width_px, height_px)
    return grained.cast("uchar").copy(interpretation="srgb").copy_memory()


def _grain(random: Random, width: int, height: int) -> Image:
    tile = library().Image.gaussnoise(
        _GRAIN_TILE_PX, _GRAIN_TILE_PX, sigma=_GRAIN_SIGMA, mean=0, seed=random.getrandbits(31)
    )
    return _covering(tile.cast("char").copy_memory(), width, height)


class _Canvas:
    def __init__(self, random: Random, width: int, height: int) -> None:
        self._random = random
        self._width = width
        self._height = height
        # The position of each pixel as a fraction of width and height.
        position = library().Image.xyz(width, height)
        self._across = position[0] / width
        self._down = position[1] / height
        least, most = _NOISE_TILE_PX
        self._tile_px = max(least, min(max(width, height) // 2, most))
        self._tile = self._fractal_tile(octaves=7)

    def painted(self) -> Image:
        scene = self._sky()
        for depth, (height, roughness, colour) in enumerate(_RIDGES):
            scene = self._with_ridge(scene, height, roughness, colour, nearness=(depth + 1) / len(_RIDGES))
        return self._with_flowers(scene)

    def _sky(self) -> Image:
        sky = _mixed(_ZENITH, _HORIZON, _unit(self._down * 1.8) ** 1.5)
        clouds = _unit((self._noise(stretch=3) - 0.05) * 1.3) * (1 - self._down)
        glow = (((self._across - 0.72) ** 2 + (self._down - 0.36) ** 2) * -60).exp()
        return _mixed(_mixed(sky, _CLOUD, clouds), _SUN, glow)

    def _with_ridge(self, scene: Image, height: float, roughness: float, colour: _Rgb, *, nearness: float) -> Image:
        depth_below = self._down - (self._line(octaves=7) * roughness + height)
        texture = self._noise(stretch=1) * (12 + 40 * nearness)
        light = 1 - _unit(depth_below * 3) * 0.45
        return _mixed(scene, (texture + list(colour)) * light, _unit(depth_below * self._height * 0.7))

    def _with_flowers(self, scene: Image) -> Image:
        """Add soft discs, larger the nearer they are."""
        petals = library().Image.black(self._width, self._height, bands=4).copy_memory()
        unit = self._height / 900
        for _ in range(_FLOWERS):
            nearness = self._random.random() ** 2
            colour = [*self._random.choice(_PETALS), 255.0]
            x, y = round(self._random.random() * self._width), round((0.8 + 0.19 * nearness) * self._height)
            petals = petals.draw_circle(colour, x, y, max(1, round((3 + 12 * nearness) * unit)), fill=True)
        petals = petals.gaussblur(max(0.5, 1.4 * unit))
        return scene * (1 - petals[3] / 255) + petals[0:3]

    def _line(self, *, octaves: int) -> Image:
        """Generate fractal noise along the width, the same in every row."""
        line = library().Image.black(self._width, 1).cast("float")
        for octave in range(octaves):
            points = library().Image.gaussnoise(
                3 * 2**octave + 2, 1, sigma=0.6 * 0.5**octave, mean=0, seed=self._random.getrandbits(31)
            )
            line = line + _scaled(points, self._width, 1)
        return line.copy_memory().replicate(1, self._height)

    def _noise(self, *, stretch: int) -> Image:
        """Generate fractal noise around 0, different at each call: two parts of the tile are combined to hide its
        symmetry.
        """
        shifts = [self._random.randrange(2 * self._tile_px) for _ in range(4)]
        tile = self._tile.wrap(x=shifts[0], y=shifts[1]) + self._tile.rot90().wrap(x=shifts[2], y=shifts[3])
        tile = (tile * 0.7).copy_memory()
        if stretch > 1:
            tile = _scaled(tile, tile.width * stretch, tile.height).copy_memory()
        return _covering(tile, self._width, self._height)

    def _fractal_tile(self, *, octaves: int) -> Image:
        """Generate noise whose octaves are each twice as fine and about half as strong; mirrored, so that it tiles
        seamlessly.
        """
        tile = library().Image.black(self._tile_px, self._tile_px).cast("float")
        for octave in range(octaves):
            points = library().Image.gaussnoise(
                5 * 2**octave, 5 * 2**octave, sigma=0.5 * 0.6**octave, mean=0, seed=self._random.getrandbits(31)
            )
            tile = tile + _scaled(points, self._tile_px, self._tile_px)
        tile = tile.copy_memory()
        upper = tile.join(tile.fliphor(), "horizontal")
        return upper.join(upper.flipver(), "vertical").copy_memory()


def _mixed(under: Image | _Rgb, over: Image | _Rgb, share: Image) -> Image:
    """Mix: `over` where the share is 1, `under` where it is 0."""
    upper = share * list(over) if isinstance(over, tuple) else over * share
    rest = 1 - share
    lower = rest * list(under) if isinstance(under, tuple) else under * rest
    return lower + upper


def _unit(image: Image) -> Image:
    """Clamp to 0 to 1."""
    return (image > 1).ifthenelse(1, (image < 0).ifthenelse(0, image))


def _scaled(image: Image, width: int, height: int) -> Image:
    return image.resize(width / image.width, vscale=height / image.height, kernel="cubic")


def _covering(tile: Image, width: int, height: int) -> Image:
    """Repeat the tile until it covers this size."""
    return tile.replicate(-(-width // tile.width), -(-height // tile.height)).extract_area(0, 0, width, height)
