"""The run's options: on locust's command line, in its web form, and checked together before a run begins."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from loadtests.errors import LoadTestError, OptionError
from loadtests.objective import Objective
from loadtests.shapes import SHAPES, Shape, shape_named

DEFAULT_FOLDER = Path("load-report")
SHAPES_HELP = {shape.name: f"{shape.meaning()} ({shape.seconds:g} s)" for shape in SHAPES.values()}


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    shape: Shape
    """Stretched already."""
    scale: float
    stretch: float
    seed: int
    objective: Objective
    settle_s: float
    broker_url: str | None
    admin_url: str | None
    metrics_url: str | None
    report: Path


def add_options(parser: Any) -> None:
    """Add the options to locust's parser, which shows them in its web form as well."""
    shapes = "; ".join(f"{name}: {meaning}" for name, meaning in SHAPES_HELP.items()).replace("%", "%%")
    group = parser.add_argument_group("Darkroom", "What is loaded, how, and what is expected of it.")

    def add(name: str, *, in_form: bool = True, **options: Any) -> None:
        action = group.add_argument(name, **options)
        # What locust's own add_argument sets; that of a group does not.
        action.include_in_web_ui, action.is_secret, action.is_required, action.is_multiple = (
            in_form,
            False,
            False,
            False,
        )

    add("--shape", choices=list(SHAPES), default="steady", env_var="SHAPE", help=f"Who comes when. {shapes}.")
    add("--scale", type=_number(above_0=True), default=1.0, help="Multiplies every rate of the shape.")
    add("--stretch", type=_number(above_0=True), default=1.0, help="Multiplies how long each stage lasts.")
    add("--seed", type=int, default=1, help="Of arrivals that are drawn: those of heavy-tailed.")
    add(
        "--objective",
        type=_objective,
        default=str(Objective()),
        help='What the run is held to, like "99.5%% within 10s".',
    )
    add("--settle", type=_number(), default=120.0, help="Seconds after the load in which every job must have ended.")
    add(
        "--broker-host",
        help="The Broker's address with its path, for events straight at it; without it there are none.",
    )
    add("--admin-url", help="Of a local runtime: shows instances and backlog in the report.")
    add("--metrics-url", help="Where darkroom's metrics are served for Prometheus; shows the same.")
    add(
        "--report",
        in_form=False,
        help="The page to write; the recording lies beside it. [default: load-report/SHAPE.html]",
    )


def _number(*, above_0: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            return number(text, above_0=above_0)
        except OptionError as exc:
            raise ArgumentTypeError(str(exc)) from exc

    return parse


def _objective(text: str) -> str:
    try:
        return str(Objective.parse(text))
    except LoadTestError as exc:
        raise ArgumentTypeError(str(exc)) from exc


def number(value: Any, *, above_0: bool = False) -> float:
    """Parse a number that is not negative. Raises OptionError."""
    wanted = "more than 0" if above_0 else "0 or more"
    try:
        parsed = float(value)
    except (TypeError, ValueError) as exc:
        raise OptionError(f"{value!r} is no number; wanted is one of {wanted}") from exc
    if not isfinite(parsed) or parsed < 0 or (above_0 and parsed == 0):
        raise OptionError(f"{value} is not {wanted}")
    return parsed


def parsed_options(values: Namespace | Mapping[str, Any], *, shape: str | None = None) -> RunOptions:
    """Check the options together, from the command line or the form. `shape` is that of a chosen class; it wins.

    Raises LoadTestError.
    """
    given = dict(vars(values)) if isinstance(values, Namespace) else dict(values)
    addresses = {name: _address(name, given.get(name)) for name in ("broker_host", "admin_url", "metrics_url")}
    if addresses["admin_url"] and addresses["metrics_url"]:
        raise OptionError("--admin-url and --metrics-url are two sources of the same numbers: give one of them")
    stretch = _of("--stretch", number, given["stretch"], above_0=True)
    name = shape or str(given["shape"])
    return RunOptions(
        shape=shape_named(name).stretched(stretch),
        scale=_of("--scale", number, given["scale"], above_0=True),
        stretch=stretch,
        seed=_of("--seed", _whole, given["seed"]),
        objective=Objective.parse(str(given["objective"])),
        settle_s=_of("--settle", number, given["settle"]),
        broker_url=addresses["broker_host"],
        admin_url=addresses["admin_url"],
        metrics_url=addresses["metrics_url"],
        report=Path(given["report"]) if given.get("report") else DEFAULT_FOLDER / f"{name}.html",
    )


def host_address(host: str | None) -> str:
    """Return the API's address without a slash at its end. Raises OptionError."""
    address = _address("host", host)
    if address is None:
        raise OptionError("--host is missing: the address of the Darkroom to load, like http://127.0.0.1:8080")
    return address


def _address(name: str, value: Any) -> str | None:
    """Return an address, or None for none: the form has empty texts."""
    address = str(value or "").strip().rstrip("/")
    if not address:
        return None
    if not address.startswith(("http://", "https://")):
        raise OptionError(f"--{name.replace('_', '-')} begins with http:// or https://, was {address!r}")
    return address


def _of(option: str, parse: Callable[..., Any], value: Any, **limits: Any) -> Any:
    try:
        return parse(value, **limits)
    except OptionError as exc:
        raise OptionError(f"{option}: {exc}") from exc


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as exc:
        raise OptionError(f"{value!r} is no whole number") from exc
