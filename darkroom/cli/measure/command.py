"""The command: starts the project's stack, measures one function on it, and writes what the simulator reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx

from darkroom.cli.admin_client import AdminClient, only_broker
from darkroom.cli.folders import require_writable_file
from darkroom.cli.measure.measuring import measure
from darkroom.cli.measure.probing import Subject
from darkroom.cli.measure.senders import Send, event_sender, picture_sender, read_data
from darkroom.cli.simulate.deployment import find_entrance, read_manifests
from darkroom.cli.temporary_stack import temporary_stack
from darkroom.cli.terminal import tell
from darkroom.local.addresses import Addresses
from darkroom.simulate import Target, from_manifests
from darkroom.simulate.observed.measured import Measured, format_measured

ANSWER_WITHIN_S = 60.0
_WINDOW = "6s"
"""The shortest that Knative allows, so that the function is soon at zero again."""


@click.command("measure")
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--to", metavar="NAME", help="The Trigger or its subscriber to measure.  [default: the only one]")
@click.option("--event", "event_type", metavar="TYPE", help="Send events of this type to the Broker.")
@click.option("--data", default="{}", show_default=True, metavar="JSON|FILE", help="The events' data.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Post this picture to the API instead.",
)
@click.option("--type", "job_type", default="resize", show_default=True, help="With --picture: the type of job.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --picture: a parameter of the job.  [default: width=512]",
)
@click.option("--times", type=click.IntRange(1, 1000), default=30, show_default=True, help="How many answers to time.")
@click.option("--starts", type=click.IntRange(1, 50), default=3, show_default=True, help="How many single starts.")
@click.option(
    "--at-once",
    type=click.IntRange(2, 100),
    multiple=True,
    default=(4,),
    show_default=True,
    help="Then a load for this many instances at once, from zero. Repeatable.",
)
@click.option("--max-instances", type=click.IntRange(1), default=32, show_default=True, help="The stack's limit.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the file here.  [default: standard output]"
)
def command(
    manifests: tuple[Path, ...],
    to: str | None,
    event_type: str | None,
    data: str,
    picture: Path | None,
    job_type: str,
    parameters: tuple[str, ...],
    times: int,
    starts: int,
    at_once: tuple[int, ...],
    max_instances: int,
    out: Path | None,
) -> None:
    """Measure how long a function takes to start and to answer on this machine, for `darkroom simulate --times`.

    It starts the project's stack in a folder of its own, sends the event or picture one at a time, and then lets the
    function go to zero and start again, alone and several at once. A minute or two.

    \b
      darkroom measure --to resize --picture photo.jpg --parameter width=800 --out resize.json
      darkroom measure --to confirm --event shop.order.placed --data '{"number": 7}' --out confirm.json
      darkroom simulate --traffic burst --to resize --times resize.json

    Measure on a machine that does nothing else, and with what is usual: a simulation is as good as its times.
    """
    if (event_type is None) == (picture is None):
        raise click.UsageError("say what to send: --event TYPE, or --picture FILE")
    if out is not None:
        require_writable_file(out, "--out")
    content, fields = read_data(data), _parameters(parameters)
    subject = _subject(manifests, to)
    options = [word for each in manifests for word in ("--manifests", str(each))]
    with (
        _stack("--window", _WINDOW, "--max-instances", str(max_instances), *options) as addresses,
        _client() as http,
        AdminClient(addresses.admin, feature="a record") as admin,
    ):
        send: Send
        if picture is not None:
            send = picture_sender(http, addresses.api, job_type, picture, fields)
        else:
            broker = only_broker(admin.ask_object("GET", "/record")["brokers"])
            send = event_sender(http, f"{addresses.broker}/{broker}", str(event_type), content)
        measured = measure(admin, subject, send, times=times, starts=starts, at_once=at_once, tell=tell)
    _write(measured, out)


def _subject(manifests: tuple[Path, ...], to: str | None) -> Subject:
    deployed = read_manifests(manifests)
    entrance = find_entrance(from_manifests(deployed.manifests, duration_s=1.0), to)
    if entrance.kind is not Target.TRIGGER:
        raise click.UsageError(f"{entrance.service} takes no events; functions behind a Trigger are measured")
    concurrency = deployed.services[entrance.service].spec.template.spec.container_concurrency
    return Subject(service=entrance.service, trigger=entrance.to, container_concurrency=concurrency)


@contextmanager
def _stack(*options: str) -> Iterator[Addresses]:
    tell("starting the project's stack")
    with TemporaryDirectory(prefix="darkroom-measure-") as folder, temporary_stack(Path(folder), *options) as addresses:
        yield addresses


def _client() -> httpx.Client:
    # trust_env: a proxy would look for the stack on its own machine.
    return httpx.Client(trust_env=False, timeout=ANSWER_WITHIN_S)


def _parameters(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or ("width=512",)]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise click.UsageError(f"--parameter reads like width=512, was {wrong[0]!r}")
    return {name: value for name, _, value in pairs}


def _write(measured: Measured, out: Path | None) -> None:
    if out is None:
        click.echo(format_measured(measured), nl=False)
        return
    out.write_text(format_measured(measured), encoding="utf-8")
    tell(f"wrote {out}: {len(measured.service_s)} service times, {len(measured.starts)} starts")
