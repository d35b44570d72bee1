"""What became of an event, in a sentence for each Trigger. `darkroom events show` has each attempt. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from darkroom.cli.events.wording import clock
from darkroom.diagnosis.words import counted


def event_lines(journey: Mapping[str, Any]) -> Sequence[str]:
    """Return sentences about each time that the event was accepted."""
    return [line for event in journey["events"] for line in _lines(event)]


def _lines(event: Mapping[str, Any]) -> Iterator[str]:
    yield f"event {event['id']}, {event['type']}: accepted by Broker {event['broker']} at {clock(event['at'])}"
    if event["is_duplicate"]:
        yield "it was dropped: the Broker had an event of this id within the last minutes"
        return
    if not event["triggers"]:
        yield "it reached nobody: the Broker has no Trigger"
    elif all(way["state"] == "filtered out" for way in event["triggers"]):
        yield "it reached nobody: no Trigger's filter takes it"
    for way in event["triggers"]:
        yield f"Trigger {way['label']}: {_way(way)}"
    for caused in event["caused"]:
        yield f"it caused event {caused['event']['id']}, {caused['event']['type']} ({caused['how']})"


def _way(way: Mapping[str, Any]) -> str:
    attempts = way["attempts"]
    after = f" after {counted(len(attempts), 'attempt')}" if attempts else ""
    last = attempts[-1]["why"] or attempts[-1]["outcome"] if attempts else ""
    match way["state"]:
        case "filtered out":
            return f"not for it: {way['why']}"
        case "waiting":
            return "passed its filter, and no attempt has ended yet"
        case "lost":
            return f"lost{after}: {way['lost']['why']}"
        case "dead-lettered":
            return f"given up{after}, and sent to {way['dead_letter']['sink']}: {last}"
        case "retrying":
            return f"tried again{after}: {last}"
        case "answered" | "replied":
            return f"{way['state']}{after} by {way['subscriber']}"
        case state:
            return f"{state}{after}: {last}"
