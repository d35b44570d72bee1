"""`darkroom events show`: the whole way of one event, and what it caused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from darkroom.cli.events.options import json_option
from darkroom.cli.events.record_client import open_runtime
from darkroom.cli.events.wording import BAD_STATES, answer, clock, data_of, door, extensions, iso, lasted
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import Part, is_terminal, tell, write, write_json, write_records

_INDENT = "  "
_HIDDEN = frozenset({"replayof", "traceparent", "tracestate"})
"""Extensions that are shown in words already, or say nothing to people."""


@click.command("show")
@click.argument("id")
@json_option
@data_option
def command(id: str, as_json: bool, data: Path) -> None:
    """Show what became of the event ID, or of the only one that begins so.

    When and how it was accepted; for each Trigger whether it passed the filter, or which part of it did not match; each
    attempt with its answer; replies and dead letters; and what those caused in turn.
    """
    with open_runtime(data) as runtime:
        journey = runtime.journey(id)
    if as_json:
        write_json(journey)
    elif is_terminal():
        for number, event in enumerate(journey["events"]):
            if number:
                write()
            _write_event(event, "")
    else:
        rows = [row for event in journey["events"] for row in _rows(event, 0)]
        write_records((), rows)
    if journey["is_cut"]:
        tell(("it caused more events than are shown here", "yellow"))


# --- for people ------------------------------------------------------------------------------------------------------


def _write_event(event: dict[str, Any], indent: str, *, is_nested: bool = False) -> None:
    write(indent, (event["type"], "bold"), f"  {event['id']}")
    came = "" if is_nested else f", {door(event)}"
    fields = {
        "accepted": f"{clock(event['at'])} by {event['broker']}{came}",
        "source": event["source"],
        "subject": event["subject"],
        **{name: value for name, value in extensions(event).items() if name not in _HIDDEN},
        "data": data_of(event),
    }
    for name, value in fields.items():
        if value:
            write(f"{indent}{_INDENT}", (f"{name:<9} ", "dim"), str(value))
    if not is_nested:
        write()
    _write_triggers(event, indent + _INDENT, is_nested=is_nested)
    for caused in event["caused"]:
        if not is_nested:
            write()
        _write_caused(caused, indent + _INDENT)


def _write_triggers(event: dict[str, Any], indent: str, *, is_nested: bool) -> None:
    if event["is_duplicate"]:
        write(indent, ("dropped: the Broker had an event of this id within the last minutes", "yellow"))
        return
    ways = event["triggers"]
    if not ways:
        write(indent, ("the Broker has no Trigger", "yellow"))
    # Below another event, those that did not take this one are only named: `show` of its own id gives the reasons.
    told = [way for way in ways if not is_nested or way["state"] != "filtered out"]
    width = max((len(way["label"]) for way in told), default=0)
    for way in told:
        _write_way(way, indent, width)
    others = [way["label"] for way in ways if way not in told]
    if others:
        write(indent, (f"filtered out by {', '.join(others)}", "dim"))


def _write_way(way: dict[str, Any], indent: str, width: int) -> None:
    state = way["state"]
    style = "dim" if state == "filtered out" else BAD_STATES.get(state, "green")
    write(indent, (f"{way['label']:<{width}}", "bold"), "  ", (_in_words(way), style))
    for attempt in way["attempts"]:
        write(
            f"{indent}{_INDENT}",
            (f"{attempt['attempt']}. {clock(attempt['at'])}", "dim"),
            f"  {lasted(attempt['lasted_s']):>7}  {answer(attempt)}",
        )
    for why in _reasons(way):
        write(f"{indent}{_INDENT}", (why, style))


def _in_words(way: dict[str, Any]) -> str:
    count = len(way["attempts"])
    tries = f" after {count} attempts" if count > 1 else ""
    match way["state"]:
        case "filtered out":
            return f"filtered out: {way['why']}"
        case "waiting":
            return "passed its filter; no attempt has ended yet"
        case "dead-lettered":
            return f"dead letter{tries}"
        case state:
            return f"{state}{tries}"


def _reasons(way: dict[str, Any]) -> Iterator[str]:
    """Yield what explains a state that nobody wanted."""
    if way["dead_letter"] is not None:
        yield f"sent to {way['dead_letter']['sink']}, which answered {way['dead_letter']['outcome']}"
    if way["lost"] is not None:
        yield way["lost"]["why"]
    elif way["attempts"] and way["attempts"][-1]["why"]:
        yield way["attempts"][-1]["why"]


def _write_caused(caused: dict[str, Any], indent: str) -> None:
    event, how = caused["event"], caused["how"]
    trigger = str(caused["trigger"]).removeprefix(f"{event['broker'].partition('/')[0]}/")
    words = {
        "reply": f"replied by {trigger}",
        "emitted": f"emitted while {trigger} handled it",
        "dead letter": f"dead letter of {trigger}",
        "delivery": f"delivered by {trigger}",
        "replay": "replayed",
    }.get(how, how)
    parts: list[Part] = [indent, (f"{words}:", "cyan")]
    write(*parts)
    _write_event(event, indent + _INDENT, is_nested=True)


# --- for programs ----------------------------------------------------------------------------------------------------


def _rows(event: dict[str, Any], depth: int, how: str = "") -> Iterator[tuple[object, ...]]:
    """Yield a line for each thing that happened: kind, depth in the tree, id, and what belongs to the kind."""
    id = event["id"]
    yield "accepted", depth, id, event["type"], event["source"], event["broker"], iso(event["at"]), how or door(event)
    for way in event["triggers"]:
        yield "trigger", depth, id, way["trigger"], way["state"], way["why"]
        for attempt in way["attempts"]:
            took_ms = round(attempt["lasted_s"] * 1000)
            yield "attempt", depth, id, way["trigger"], attempt["attempt"], iso(attempt["at"]), took_ms, answer(attempt)
        for why in _reasons(way):
            yield "reason", depth, id, way["trigger"], why
    for caused in event["caused"]:
        yield from _rows(caused["event"], depth + 1, f"{caused['how']} {caused['trigger']}".strip())
