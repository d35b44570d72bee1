"""The command: options to a workload, files to prices and a deployment, a plan to text or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from darkroom.cli.plan.deployed import PRODUCTION, read_deployment
from darkroom.cli.plan.document import plan_document
from darkroom.cli.plan.options import ByteCount, Count, Days, FormatName
from darkroom.cli.plan.package_data import EXAMPLE_PRICES_FILE, example_prices, load_costs
from darkroom.cli.terminal import write, write_fields, write_json
from darkroom.manifests import ManifestError
from darkroom.manifests.project import read_project
from darkroom.planning.deployment import Deployment
from darkroom.planning.plan import Plan, make_plan
from darkroom.planning.prices import Prices, PricesError, parse_prices
from darkroom.planning.report import describe, findings
from darkroom.planning.workload import POSTGRES, REDIS, Workload, WorkloadError

_TYPES = ("resize",)
"""The types of job whose costs were measured."""


def _print_example(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(EXAMPLE_PRICES_FILE.read_text(encoding="utf-8"), nl=False)
        ctx.exit()


@click.command("plan")
@click.option("--per-day", type=Count(), required=True, help="Jobs a day, such as 1000000 or 1,000,000.")
@click.option(
    "--size", "picture_bytes", type=ByteCount(), required=True, help="Bytes of a picture on average, such as 634KB."
)
@click.option("--megapixels", type=float, required=True, help="Of a picture on average, such as 3.")
@click.option(
    "--keep",
    "kept_s",
    type=Days(),
    default="7d",
    show_default=True,
    help="How long records and results are kept; originals are kept a day longer.",
)
@click.option("--keys", type=Count(), default=50, show_default=True, help="API keys that share the load.")
@click.option("--type", "job_type", type=click.Choice(_TYPES), default="resize", show_default=True, help="Type of job.")
@click.option("--width", "width_px", type=int, default=512, show_default=True, help="Of a result, in pixels.")
@click.option(
    "--from", "read_format", type=FormatName(), default="jpeg", show_default=True, help="Format of originals."
)
@click.option("--to", "written_format", type=FormatName(), default="jpeg", show_default=True, help="Format of results.")
@click.option(
    "--peak", type=float, default=3.0, show_default=True, help="The busiest minutes' rate by the day's average."
)
@click.option(
    "--reads",
    type=float,
    default=1.0,
    show_default=True,
    help="How often a job is asked for and its result downloaded.",
)
@click.option(
    "--backlog",
    "backlog_s",
    type=Days(),
    default="1h",
    show_default=True,
    help="For how long the job store must take jobs while none is rendered.",
)
@click.option(
    "--store",
    type=click.Choice([REDIS, POSTGRES]),
    default=REDIS,
    show_default=True,
    help="The job store, as in JOB_STORE.",
)
@click.option(
    "--prices",
    "prices_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Unit prices in TOML; --example-prices prints one to edit.  [default: example prices, nobody's offer]",
)
@click.option(
    "--manifests",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="What is deployed, to compare the plan with; may be given more than once. Patches are not applied.  "
    f"[default: {PRODUCTION} if there is one, else the project's]",
)
@click.option(
    "--example-prices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_example,
    help="Print an example of a price file, and exit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with amounts in base units.")
def command(prices_file: Path | None, manifests: tuple[Path, ...], as_json: bool, **workload_options: object) -> None:
    """Compute what a load needs: CPU, pods, the Broker's throttles, memory, disk, requests, bytes and money.

    The costs of a job were measured on a running stack of this version; the output names the machine. CPU time differs
    between machines, bytes and requests do not. Knative's own pods were not measured: `platform` is the local runtime,
    which does their work here.

    The manifests are compared with what is needed. Each part that is too small is named, the first to be so first.

    \b
      darkroom plan --per-day 1000000 --size 634KB --megapixels 3 --keep 7d
      darkroom plan --per-day 50000 --size 4MB --megapixels 12 --width 1600 --to webp
      darkroom plan --example-prices > prices.toml        then edit it, and pass it by --prices prices.toml
    """
    prices = example_prices() if prices_file is None else _read_prices(prices_file)
    try:
        workload = Workload(**workload_options)  # type: ignore[arg-type]
        plan = make_plan(workload, load_costs(), prices, _deployment(manifests))
    except (WorkloadError, ManifestError) as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        write_json(plan_document(plan))
    else:
        _print(plan)


def _read_prices(file: Path) -> Prices:
    try:
        return parse_prices(file.read_text(encoding="utf-8"))
    except PricesError as exc:
        raise click.ClickException(f"{file}: {exc}; `darkroom plan --example-prices` prints a whole one") from exc


def _deployment(manifests: tuple[Path, ...]) -> Deployment:
    if manifests:
        return read_deployment(manifests)
    return read_deployment([PRODUCTION] if PRODUCTION.is_dir() else read_project(Path()).manifests)


def _print(plan: Plan) -> None:
    for section in describe(plan):
        write((section.title, "bold"))
        write_fields(dict(section.rows), indent="  ")
    write(("what is too small now", "bold"))
    for sentence in findings(plan) or ["There are no manifests to compare with; name them with --manifests."]:
        write(f"  {sentence}")
    about = plan.costs.about
    write((f"measured {about.measured} with {', '.join(f'{k} {v}' for k, v in about.versions.items())}", "dim"))
    write((f"on {about.machine[0]}; the fit is within {abs(about.worst_ratio - 1):.0%} of each measured case", "dim"))
