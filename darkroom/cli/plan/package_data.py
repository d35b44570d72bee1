"""The data files of `darkroom.planning`, which itself reads no files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import darkroom.planning
from darkroom.planning.costs import Costs, parse_costs
from darkroom.planning.prices import Prices, parse_prices

_FOLDER = Path(darkroom.planning.__file__).parent
COSTS_FILE = _FOLDER / "costs.json"
EXAMPLE_PRICES_FILE = _FOLDER / "prices.example.toml"


@cache
def load_costs() -> Costs:
    """Read the costs that were measured for this version."""
    return parse_costs(COSTS_FILE.read_text(encoding="utf-8"))


@cache
def example_prices() -> Prices:
    return parse_prices(EXAMPLE_PRICES_FILE.read_text(encoding="utf-8"))
