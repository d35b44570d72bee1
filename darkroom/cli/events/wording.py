"""How the record's documents read: on a terminal for people, and otherwise as fields for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from darkroom.cli.terminal import Part

BAD_STATES = {"lost": "bold red", "dead-lettered": "red", "failed": "red", "retrying": "yellow"}
_MOST_DATA = 300
"""Characters of an event's data that are shown; --json shows all."""


def clock(at: float) -> str:
    """Format a time as this machine's clock shows it; with the date, unless it is today's."""
    moment = datetime.fromtimestamp(at)
    time = moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    return time if moment.date() == date.today() else f"{moment:%Y-%m-%d} {time}"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")


def lasted(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def door(event: dict[str, Any]) -> str:
    """Say by which way an event came: `over HTTP`, `as a reply of confirm to ...`."""
    cause = event.get("cause") or {}
    trigger = _short(cause.get("trigger", ""), event)
    match event["door"]:
        case "reply":
            return f"as the reply of {trigger} to {cause['id']}"
        case "delivery":
            return f"delivered by {trigger}"
        case "dead letter":
            return f"as a dead letter of {trigger}"
        case "source":
            return f"from {event['name']}"
        case "replay":
            to = f", to {_short(event['name'], event)} only" if event["name"] else ""
            return f"as a replay of {event['replay_of']}{to}"
        case _:
            return "over HTTP"


def _short(trigger: str, event: dict[str, Any]) -> str:
    """Name a Trigger without its namespace, where that is the Broker's."""
    namespace = str(event["broker"]).partition("/")[0]
    return trigger.removeprefix(f"{namespace}/")


def answer(attempt: dict[str, Any]) -> str:
    """Describe an attempt's answer on one line: what was answered, and what follows."""
    words = str(attempt["outcome"]).replace("\n", " ").strip()
    if attempt["reply"] is not None:
        words = f"{words} with {attempt['reply']['type']}"
    if attempt["next_in_s"] is not None:
        again = f"after {attempt['next_in_s']:g} s" if attempt["next_in_s"] else "at once"
        words = f"{words}; again {again}"
    return words


def data_of(event: dict[str, Any]) -> str:
    """Return the beginning of an event's data on one line."""
    inner = event.get("event", {})
    if event.get("data_left_out_bytes"):
        return f"({event['data_left_out_bytes']} bytes, more than the record keeps of an event)"
    if "data_base64" in inner:
        return f"({len(inner['data_base64']) * 3 // 4} bytes of {inner.get('datacontenttype', 'no stated type')})"
    if "data" not in inner:
        return ""
    text = json.dumps(inner["data"], ensure_ascii=False)
    return text if len(text) <= _MOST_DATA else f"{text[:_MOST_DATA]} ... ({len(text)} characters)"


def extensions(event: dict[str, Any]) -> dict[str, str]:
    known = {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
    inner = {name: str(value) for name, value in event.get("event", {}).items()}
    return {name: value for name, value in inner.items() if name not in {*known, "data", "data_base64"}}


# --- a tail's lines --------------------------------------------------------------------------------------------------


def tail_lines(document: dict[str, Any]) -> Iterator[Sequence[Part]]:
    """Yield what a terminal shows when something has happened: one line, and below it what needs more words."""
    at = clock(document["at"]) if document.get("at") else ""
    match document["kind"]:
        case "accepted":
            yield (at, "dim"), " --> ", (document["type"], "bold"), f"  {document['id']}"
            yield from _below(at, _route(document))
        case "attempted":
            bad = document["why"] != "" or document["action"] not in ("ack", "reply")
            status = str(document["status"] or "none")
            style = "red" if bad else "green"
            yield (
                (at, "dim"),
                " <-- ",
                (f"{status:<4}", style),
                f" {lasted(document['lasted_s']):>7}  {document['label']}  {document['id']}",
            )
            if bad or document["reply"] is not None:
                yield from _below(at, [(answer(document), "")])
        case "dead_lettered":
            yield (at, "dim"), " xxx ", ("dead letter", "red"), f"  {document['label']}  {document['id']}"
            yield from _below(at, [(f"to {document['sink']}, which answered {document['outcome']}", "")])
        case "lost":
            yield (at, "dim"), " xxx ", ("lost", "bold red"), f"  {document['label']}  {document['id']}"
            yield from _below(at, [(document["why"], "")])
        case "refused":
            yield (at, "dim"), " xxx ", ("refused", "yellow"), f"  by {document['broker']}  {document['id'] or ''}"
            yield from _below(at, [(document["error"], "")])
        case _:
            yield ((f"{document.get('count', 0)} things that happened are missing here: they came too fast", "yellow"),)


def _below(at: str, parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    yield [" " * (len(at) + 5), *parts]


def _route(document: dict[str, Any]) -> list[Part]:
    """Say which Triggers take an event, and which do not."""
    if document["is_duplicate"]:
        return [("dropped: the Broker had an event of this id within the last minutes", "yellow")]
    passed = [str(each["label"]) for each in document["verdicts"] if each["passed"]]
    others = [str(each["label"]) for each in document["verdicts"] if not each["passed"]]
    by = "" if document["door"] == "http" else f"{door(document)}; "
    if not passed:
        return [by, ("no Trigger takes it", "yellow")]
    return [by, f"for {', '.join(passed)}", (f"; not {', '.join(others)}" if others else "", "dim")]


def tail_fields(document: dict[str, Any]) -> tuple[object, ...]:
    """Return the fields of what has happened: when, kind, event, type, Broker, Trigger, attempt, outcome."""
    get = document.get
    return (
        iso(document["at"]) if get("at") else "",
        document["kind"],
        get("id") or "",
        get("type") or "",
        get("broker") or "",
        get("trigger") or "",
        get("attempt") or "",
        _outcome(document),
    )


def _outcome(document: dict[str, Any]) -> str:
    match document["kind"]:
        case "accepted":
            return f"for {','.join(str(each['label']) for each in document['verdicts'] if each['passed'])}"
        case "attempted":
            return answer(document)
        case "dead_lettered":
            return f"{document['sink']}: {document['outcome']}"
        case "lost":
            return str(document["why"])
        case "refused":
            return str(document["error"])
        case _:
            return f"{document['count']} entries"
