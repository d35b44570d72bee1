"""The options of `darkroom simulate`, and the type of an objective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from darkroom.cli.runtime_file import data_option
from darkroom.simulate import CLUSTER, LOCAL
from darkroom.simulate.study.objective import Objective, ObjectiveError

PLATFORMS = {each.name: each for each in (CLUSTER, LOCAL)}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class ObjectiveType(click.ParamType[Objective]):
    name = "objective"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Objective:
        if isinstance(value, Objective):
            return value
        try:
            return Objective.parse(str(value))
        except ObjectiveError as exc:
            self.fail(str(exc), param, ctx)


_OPTIONS = (
    click.argument("manifests", nargs=-1, type=click.Path(path_type=Path, exists=True)),
    click.option("--traffic", required=True, metavar="FILE|SHAPE|URL", help="What comes when; see above."),
    click.option("--to", metavar="NAME", help="The Trigger or Service that it goes to.  [default: the only one]"),
    click.option("--path", "log_path", default="", help="Of an access log, only requests whose path begins so."),
    click.option(
        "--times",
        multiple=True,
        metavar="[SERVICE=]FILE|TIME|live",
        help="How long an instance works on a request, and how long starts take: what `darkroom measure` writes, a "
        "recorded run, OTLP's JSON, Prometheus' histograms or their address, a time such as 250ms, or `live`: the "
        "record of the running `darkroom up`. May be given repeatedly.",
    ),
    click.option("--starts", metavar="TIME", help="How long a start takes, such as 1.5s.  [default: a real cluster's]"),
    click.option("--metric", default="", help="The histogram of service times, if it is none that is known."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="SERVICE.NAME=A,B,C",
        help="Values to try: of an annotation (max-scale), container-concurrency or max-ack-pending. May be given "
        "repeatedly; all combinations are tried.",
    ),
    click.option(
        "--objective",
        type=ObjectiveType(),
        default="99.5%<10s",
        show_default=True,
        help="What a setting is held to: the share of all requests, and their time from arrival to end.",
    ),
    click.option(
        "--prices",
        "prices_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Unit prices, as `darkroom plan --example-prices` prints them.  [default: that example, nobody's offer]",
    ),
    click.option(
        "--platform",
        type=click.Choice(list(PLATFORMS)),
        default=CLUSTER.name,
        show_default=True,
        help="What runs the manifests; on a cluster there is a grace period before zero.",
    ),
    click.option("--max-instances", type=click.IntRange(1), help="The local runtime's limit, as for `darkroom up`."),
    click.option(
        "--cores", type=click.FloatRange(0, min_open=True), help="Cores of the one machine that everything shares."
    ),
    click.option(
        "--runs",
        type=click.IntRange(1, 100),
        default=6,
        show_default=True,
        help="How often each setting is simulated, with different seeds. The true median is within the range of 6 runs "
        "with 97 %.",
    ),
    click.option(
        "--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same output."
    ),
    click.option("--search", "is_search", is_flag=True, help="Find the cheapest setting that holds the objective."),
    click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        help="With --search: write what it finds as a kustomize patch.",
    ),
    click.option("--against", metavar="REPORT", help="Lay a recorded run over it, and show the error."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    click.option(
        "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with charts and reasons."
    ),
    data_option,
)


def simulate_options(command: _Command) -> _Command:
    """Add the options to a command, in the order in which --help shows them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
