"""How `darkroom chaos` shows a plan, a fault, and the reckoning. Takes the admin API's documents; asks nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from darkroom.cli.terminal import format_duration, write

SHOWN_ROWS = 20
_DONE = {
    "kill": "killed",
    "pause": "paused",
    "server": "killed",
    "slow request": "delivered late",
    "slow answer": "answered late",
    "fail before": "503 before the function was called",
    "fail after": "503 after the function had done its work",
    "duplicate": "delivered twice",
    "drop reply": "the function's answer dropped",
}


def format_line(line: Mapping[str, Any]) -> str:
    """Format one fault as it happened."""
    kind, done = str(line["kind"]), _DONE.get(str(line["kind"]), "")
    head = f"{line['at_s']:8.2f} s  {kind:<13} {line['target']:<20} "
    if "event" in line:
        delay = f" by {line['delay_s'] * 1000:.0f} ms" if "delay_s" in line else ""
        return f"{head} event {line['event']}, attempt {line['attempt']}: {done}{delay}"
    if line.get("pid") is None:
        return f"{head} nothing happened: {line.get('detail')}"
    return f"{head} {done}, pid {line['pid']}"


def write_plan(plan: Mapping[str, Any]) -> None:
    order, targets = plan["order"], plan["targets"]
    write(f"chaos with seed {order['seed']} for {format_duration(order['lasts_s'])}, plan {plan['digest']}")
    for name in ("services", "triggers", "servers"):
        write(f"  {name:<9} {', '.join(targets[name]) or 'none'}")
    write()
    for fault in plan["processes"]:
        lasts = f"for {fault['lasts_s']:.1f} s" if fault["lasts_s"] else ""
        write(f"{fault['at_s']:8.2f} s  {fault['kind']:<13} {fault['target']:<20} {lasts}".rstrip())
    if not plan["processes"]:
        write("no kills, no pauses")
    write()
    for sentence in _rates(order):
        write(f"of the deliveries, {sentence}")
    for trigger, faults in _by_trigger(plan["deliveries"]).items():
        shown = ", ".join(f"{fault['event']} {'+'.join(fault['kinds'])}" for fault in faults[:12])
        more = f", and {len(faults) - 12} more of the first 100" if len(faults) > 12 else ""
        write(f"  {trigger}: event {shown}{more}")


def _rates(order: Mapping[str, Any]) -> Iterable[str]:
    slow = order["slow"]
    if slow:
        yield f"{slow['share']:.0%} are slow, by {slow['shortest_s']:g} to {slow['longest_s']:g} s"
    for name, text in (("fail", "fail with 503"), ("duplicate", "come twice"), ("drop_reply", "lose their answer")):
        if order[name]:
            yield f"{order[name]:.0%} {text}"


def _by_trigger(deliveries: Iterable[Mapping[str, Any]]) -> Mapping[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for fault in deliveries:
        found[str(fault["trigger"])].append(fault)
    return found


def write_reckoning(document: Mapping[str, Any]) -> None:
    sums = document["reckoning"]
    faults = sum(sums["faults"].values())
    write()
    if document["ended_by"]:
        write((f"ended early, by {document['ended_by']}: what was under way counts as stuck", "yellow"))
    write(f"faults      {faults}")
    for kind, count in sums["faults"].items():
        write(f"            {count:5d}  {kind}")
    sent = document["sent"]
    if sent is not None:
        write(f"sent        {sent['accepted']} accepted, {sent['repeated']} times repeated before that")
        if sent["refused"]:
            write((f"            then the Broker refused: {sent['refused']}", "red"))
    write(f"in          {sums['accepted']} events accepted by Brokers, {sums['posted']} of them over HTTP")
    if sums["refused_duplicates"]:
        write(f"            {sums['refused_duplicates']} dropped by their id, as JetStream does with duplicates")
    if sums["left_out"]:
        write((f"            {sums['left_out']} more not accounted for: the account was full", "yellow"))
    write("out")
    _write_triggers(sums["triggers"])
    for name in ("lost", "stuck"):
        write((f"{name:<12}{sums[f'{name}_count']}", "bold red" if sums[f"{name}_count"] else "green"))
        _write_rows(sums[name], sums[f"{name}_count"])
    again = [row["again"] for row in sums["triggers"]]
    total = sum(sum(one.values()) for one in again)
    causes = ", ".join(f"{sum(one[cause] for one in again)} {text}" for cause, text in _CAUSES.items())
    write(f"doubled     {total}{f': {causes}' if total else ''}")
    for name, section in sums["application"].items():
        write(f"{name:<12}{', '.join(f'{key} {value}' for key, value in section.items())}")


_CAUSES = {
    "duplicate": "by chaos' duplicates",
    "lost answer": "after an answer that chaos withheld",
    "redelivery": "by the Broker's own redeliveries",
}


_COLUMNS = {
    "events": "events",
    "attempts": "attempts",
    "acknowledged": "acknowledged",
    "replies": "replies",
    "dead_lettered": "dead letters",
    "lost": "lost",
    "stuck": "stuck",
}


def _write_triggers(rows: Sequence[Mapping[str, Any]]) -> None:
    width = max((len(str(row["trigger"])) for row in rows), default=0)
    write(f"  {'':<{width}}  {'  '.join(_COLUMNS.values())}  done again")
    for row in rows:
        cells = "  ".join(f"{row[name]:>{len(title)}}" for name, title in _COLUMNS.items())
        write(f"  {row['trigger']:<{width}}  {cells}  {sum(row['again'].values()):>10}")


def _write_rows(rows: list[Mapping[str, Any]], count: int) -> None:
    for row in rows[:SHOWN_ROWS]:
        did = "; the function had done its work" if row["executions"] else ""
        did += f" {row['executions']} times" if row["executions"] > 1 else ""
        number = f"event {row['number']}, " if row["number"] else ""
        write(f"  {row['trigger']}: {number}{row['type']} {row['id']}, {row['attempts']} attempts: {row['why']}{did}")
    if count > SHOWN_ROWS:
        write(f"  and {count - SHOWN_ROWS} more; --json lists up to 1,000")
