"""The pictures that visitors bring and what they request: pictures of several sizes, generated once per run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from darkroom.contract.job_types import JobType, job_type_named
from darkroom.contract.parameters.values import Format
from darkroom.imaging.photograph import photograph
from darkroom.imaging.vips import save


@dataclass(frozen=True, kw_only=True)
class PictureKind:
    width_px: int
    height_px: int
    format: Format
    options: Mapping[str, Any]

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"

    def make(self) -> bytes:
        return save(self.format, photograph(self.width_px, self.height_px), **self.options)


PICTURES: dict[str, PictureKind] = {
    "2K": PictureKind(width_px=2048, height_px=1536, format=Format.JPEG, options={"Q": 90}),
    "12 MP": PictureKind(width_px=4000, height_px=3000, format=Format.JPEG, options={"Q": 85}),
    "small PNG": PictureKind(width_px=480, height_px=360, format=Format.PNG, options={"compression": 6}),
}


@dataclass(frozen=True, kw_only=True)
class Order:
    job_type: JobType
    picture: str
    parameters: Mapping[str, Any]
    share: int
    """Its weight among all shares."""

    @property
    def name(self) -> str:
        return f"{self.job_type.name} {self.picture}"

    @property
    def query(self) -> str:
        """The parameters as a query; nested ones are JSON."""
        return urlencode({name: _text(value) for name, value in self.parameters.items()})


def _text(value: Any) -> Any:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, Mapping) else value


RESIZE, CROP, RENDITIONS = job_type_named("resize"), job_type_named("crop"), job_type_named("renditions")

_SIZES = {
    "hero": {"type": "resize", "parameters": {"width": 1600}},
    "small": {"type": "resize", "parameters": {"width": 400}},
    "square": {"type": "crop", "parameters": {"width": 300, "height": 300, "gravity": "centre"}},
}

ORDERS: tuple[Order, ...] = (
    Order(job_type=RESIZE, picture="2K", parameters={"width": 400}, share=5),
    Order(job_type=RESIZE, picture="12 MP", parameters={"width": 1200}, share=2),
    Order(job_type=CROP, picture="2K", parameters={"width": 600, "height": 600, "gravity": "centre"}, share=2),
    Order(job_type=RESIZE, picture="small PNG", parameters={"width": 200, "format": "webp"}, share=1),
    Order(job_type=RENDITIONS, picture="2K", parameters={"renditions": _SIZES}, share=1),
)


def order_named(name: str) -> Order:
    return next(order for order in ORDERS if order.name == name)


@cache
def pictures_of_all_kinds() -> Mapping[str, bytes]:
    """Return one picture of each kind. The first call makes them, which takes some seconds of one core."""
    return MappingProxyType({name: kind.make() for name, kind in PICTURES.items()})


def endless_orders() -> Iterator[Order]:
    """Yield orders in turn, spread as evenly as their shares allow, and the same in every run."""
    return cycle(_spread(ORDERS))


def _spread(orders: tuple[Order, ...]) -> list[Order]:
    """Spread the orders: each comes at the moments that divide the cycle into as many parts as its share."""
    moments = [((turn + 0.5) / order.share, order) for order in orders for turn in range(order.share)]
    return [order for _, order in sorted(moments, key=lambda one: one[0])]
