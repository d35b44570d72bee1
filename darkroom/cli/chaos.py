"""`darkroom chaos`: faults from a seed for the running `darkroom up`, and the reckoning of what they did.

The runtime inflicts the faults and keeps the account; this command asks for a run, shows it, and keeps it alive. When
it ends, in whatever way, the faults end too.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.chaos_report import format_line, write_plan, write_reckoning
from darkroom.cli.chaos_traffic import Traffic
from darkroom.cli.failures import INTERRUPTED
from darkroom.cli.rate_option import Rate
from darkroom.cli.runtime_file import data_option, runtime_addresses
from darkroom.cli.terminal import tell, write, write_json
from darkroom.events.durations import parse_go

POLL_EVERY_S = 0.4
ANSWER_WITHIN_S = 15.0
LONGEST_S = 24 * 3600.0
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)
_LARGEST_SEED = 2**63 - 1


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            seconds = parse_go(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not 0 <= seconds <= LONGEST_S:
            self.fail(f"must be 0s to 24h, was {value}", param, ctx)
        return seconds


class _Share(click.ParamType[float]):
    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _SHARE.fullmatch(value)
        if found is None or float(found[1]) > 100:
            self.fail(f"must be a percentage from 0% to 100%, such as 10%, was {value!r}", param, ctx)
        return float(found[1]) / 100


class _Slow(click.ParamType[dict[str, float]]):
    name = "duration[..duration][:percent]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        delays, _, share = value.partition(":")
        shortest, dots, longest = delays.partition("..")
        shortest_s = _Duration().convert(shortest, param, ctx)
        longest_s = _Duration().convert(longest, param, ctx) if dots else shortest_s
        if longest_s < shortest_s:
            self.fail(f"{value!r}: the first delay is the shorter one, as in 200ms..2s", param, ctx)
        part = _Share().convert(share, param, ctx) if share else 1.0
        return {"shortest_s": shortest_s, "longest_s": longest_s, "share": part}


@click.command("chaos")
@click.option("--service", "services", multiple=True, metavar="NAME", help="Hit only this Service; may be repeated.")
@click.option(
    "--trigger", "triggers", multiple=True, metavar="NAME", help="Hit only this Trigger's deliveries; may be repeated."
)
@click.option("--kill", is_flag=True, help="Kill instances (SIGKILL).")
@click.option("--pause", is_flag=True, help="Pause instances for 0.5 to 4 s (SIGSTOP, SIGCONT).")
@click.option("--slow", type=_Slow(), help="Delay deliveries or their answers: 200ms..2s, or 200ms..2s:20% of them.")
@click.option("--fail", type=_Share(), default=0.0, help="Answer 503, before or after the function has done its work.")
@click.option("--duplicate", type=_Share(), default=0.0, help="Deliver twice at once.")
@click.option("--drop-reply", type=_Share(), default=0.0, help="Lose the answer of a function that has done its work.")
@click.option(
    "--servers", default="", metavar="NAME,...", help="Kill these servers: nats, redis, s3, where they run here."
)
@click.option("--for", "lasts_s", type=_Duration(), default="60s", show_default=True, help="How long.")
@click.option(
    "--every",
    "interval_s",
    type=_Duration(),
    help="Time between two kills, pauses or killed servers, on average.  [default: 5s]",
)
@click.option(
    "--settle",
    "settle_s",
    type=_Duration(),
    default="60s",
    show_default=True,
    help="How long events may take to end after the last fault, before they count as stuck.",
)
@click.option(
    "--seed", type=click.IntRange(0, _LARGEST_SEED), help="The same seed gives the same faults.  [default: any]"
)
@click.option("--plan", "only_plan", is_flag=True, help="Print what would happen, and do nothing.")
@click.option("--send", "event_type", metavar="TYPE", help="Send events of this type meanwhile.")
@click.option(
    "--send-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Their JSON data; {n} in it becomes the event's number.",
)
@click.option("--rate", type=Rate(), default="20/s", show_default=True, help="How many events to send.")
@click.option("--broker", metavar="NAMESPACE/NAME", help="Where to send them.  [default: the only Broker]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
@data_option
def command(
    lasts_s: float,
    servers: str,
    seed: int | None,
    only_plan: bool,
    event_type: str | None,
    send_data: Path | None,
    rate: float,
    broker: str | None,
    as_json: bool,
    data: Path,
    **faults: Any,
) -> None:
    """Inflict faults on what runs in `darkroom up`, and tell what was lost, doubled or stuck.

    Without a fault named, all of them happen, mixed. Traffic is yours, or that of --send. The faults end with this
    command. Exit code 1: something was lost or stuck.

    \b
      darkroom chaos --plan --seed 7
      darkroom chaos --seed 7 --for 30s --send shop.order.placed --send-data order.json
      darkroom chaos --service confirm --kill --fail 10%
    """
    if lasts_s == 0:
        raise click.UsageError("--for must be longer than 0s")
    if event_type is None and (send_data is not None or broker is not None):
        raise click.UsageError("--send-data and --broker belong to --send TYPE")
    addresses = runtime_addresses(data)
    order = {
        "seed": secrets.randbelow(1_000_000) if seed is None else seed,
        "lasts_s": lasts_s,
        "servers": tuple(name.strip() for name in servers.split(",") if name.strip()),
        **faults,
    }
    traffic = None
    if event_type is not None:
        traffic = Traffic.prepare(addresses, event_type, send_data, per_second=rate, lasts_s=lasts_s, broker=broker)
    with AdminClient(addresses.admin, answer_within_s=ANSWER_WITHIN_S) as admin:
        if only_plan:
            plan = admin.ask_object("POST", "/chaos/plan", body=order)
            write_json(plan) if as_json else write_plan(plan)
            return
        _run(admin, order, traffic, as_json=as_json)


def _run(admin: AdminClient, order: Mapping[str, Any], traffic: Traffic | None, *, as_json: bool) -> None:
    plan = admin.ask_object("POST", "/chaos", body=order)
    say = tell if as_json else write
    say(f"chaos with seed {order['seed']} for {order['lasts_s']:g} s, plan {plan['digest']}; Ctrl-C ends it")
    lines: list[dict[str, Any]] = []
    state, was_interrupted = _watch(admin, plan["id"], lines, traffic, say)
    if state["reckoning"] is None:
        raise click.ClickException(f"there is no reckoning: {state['ended_by'] or 'the run failed; see `darkroom up`'}")
    document = {
        "plan": plan,
        "ended_by": state["ended_by"],
        "faults": lines,
        "sent": None if traffic is None else traffic.as_dict(),
        "reckoning": state["reckoning"],
    }
    write_json(document) if as_json else write_reckoning(document)
    if was_interrupted:
        raise SystemExit(INTERRUPTED)
    if state["reckoning"]["lost_count"] or state["reckoning"]["stuck_count"] or state["ended_by"]:
        raise SystemExit(1)


def _watch(
    admin: AdminClient, run_id: str, lines: list[dict[str, Any]], traffic: Traffic | None, say: Any
) -> tuple[dict[str, Any], bool]:
    """Follow a run with its traffic to its end; returns its last state, and whether Ctrl-C ended it."""
    try:
        with ExitStack() as running:
            if traffic is not None:
                running.enter_context(traffic)
            return _follow(admin, run_id, lines, traffic, say), False
    except KeyboardInterrupt:
        admin.ask("DELETE", f"/chaos/{run_id}")
        return _follow(admin, run_id, lines, None, say), True
    except BaseException:
        _end(admin, run_id)
        raise


def _follow(
    admin: AdminClient, run_id: str, lines: list[dict[str, Any]], traffic: Traffic | None, say: Any
) -> dict[str, Any]:
    """Show each fault as it happens, until the run is over; returns its last state."""
    settling = False
    while True:
        since = lines[-1]["number"] if lines else 0
        state = admin.ask_object("GET", f"/chaos/{run_id}", query={"since": since})
        for line in state["lines"]:
            lines.append(line)
            say(format_line(line))
        if state["state"] != "running" and traffic is not None:
            traffic.stop()
        if state["state"] == "settling" and not settling:
            settling = True
            left = state["unfinished"]
            say(f"no more faults; {left} {'delivery has' if left == 1 else 'deliveries have'} not ended yet")
        if state["state"] == "over":
            return state
        time.sleep(POLL_EVERY_S)


def _end(admin: AdminClient, run_id: str) -> None:
    """End a run as well as possible; otherwise its lease ends it."""
    try:
        admin.ask("DELETE", f"/chaos/{run_id}")
    except click.ClickException as exc:
        tell(f"the run could not be ended ({exc.format_message()}); it ends by itself in a few seconds")
