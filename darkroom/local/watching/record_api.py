"""The record over HTTP, at the admin address: for `darkroom events`, and for whoever wants to look at events as JSON.

    GET  /record                            how far back it goes, and its limits
    GET  /record/events?type&broker&trigger&since&id&limit&with=event
                                            accepted events, oldest first; `id` takes the beginning of an id
    GET  /record/journey?id=                the whole way of one event, and what it caused
    GET  /record/tail?type&broker&trigger&since&follow=no
                                            what happens, as server-sent events
    POST /record/replay                     {"numbers": [...], "to": TRIGGER}: sends recorded events again
    POST /record/forget                     {"containing": ["..."]}: takes out all that contains one of the texts

Errors are text: one sentence. Times are seconds since the epoch.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from darkroom.errors import DependencyUnavailableError
from darkroom.events import strict_json
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.dispatch import Dispatcher
from darkroom.local.eventing.record import reader
from darkroom.local.eventing.record.entries import (
    Accepted,
    AnyEntry,
    Attempted,
    Delivery,
    TriggersKnown,
    begins,
    event_of,
    has_id_from,
)
from darkroom.local.eventing.record.forgetting import forget
from darkroom.local.eventing.record.journeys import Related, acceptance, attempt_document, journeys
from darkroom.local.eventing.record.reader import Found, Sets
from darkroom.local.eventing.record.replay import replay as send_again

MAX_LISTED = 10_000
MAX_REPLAYED = 10_000
MAX_REQUEST_BYTES = 1024 * 1024
MAX_FORGOTTEN_TEXTS = 1000
FORGETTABLE = re.compile(r"[!#-\[\]-~]{16,200}")
"""In JSON it is as it is, and long enough that nobody takes out everything by a slip."""
KEEP_ALIVE_S = 10.0
AMBIGUOUS_SHOWN = 10

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _RequestError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which events somebody wants to see."""

    type: str = ""
    """With `*` for anything."""
    broker: str = ""
    trigger: str = ""
    """Namespace and name."""
    since: float | None = None

    def may_have(self, entry: AnyEntry, beginning: str) -> bool:
        """Report whether an event is worth a verdict: by all but the Trigger, and by its id's beginning."""
        event = event_of(entry) if isinstance(entry, Accepted) else None
        if not isinstance(entry, Accepted) or event is None or not event.id.startswith(beginning):
            return False
        return replace(self, trigger="").has({"type": event.type, "broker": entry.broker})

    def has(self, document: dict[str, Any]) -> bool:
        if self.type and not fnmatchcase(str(document.get("type") or ""), self.type):
            return False
        if self.broker and document.get("broker") != self.broker:
            return False
        if not self.trigger:
            return True
        if document["kind"] == Accepted.kind:
            return any(each["passed"] and each["trigger"] == self.trigger for each in document["verdicts"])
        return bool(document.get("trigger") == self.trigger)


class RecordApi:
    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._recorder = brokers.recorder

    def add_routes(self, application: web.Application) -> None:
        application.router.add_get("/record", _guarded(self._bounds))
        application.router.add_get("/record/events", _guarded(self._list))
        application.router.add_get("/record/journey", _guarded(self._journey))
        application.router.add_get("/record/tail", _guarded(self._tail))
        application.router.add_post("/record/replay", _guarded(self._replay))
        application.router.add_post("/record/forget", _guarded(self._forget))

    async def _bounds(self, _request: web.Request) -> web.Response:
        brokers = ["/".join(address) for address in self._brokers.streams]
        triggers = [dict(each) for each in self._recorder.triggers.triggers]
        record = await reader.bounds(self._recorder) if self._recorder.is_on else None
        return _json({"brokers": brokers, "triggers": triggers, "record": record})

    async def _list(self, request: web.Request) -> web.Response:
        selection, sets = self._selection(request), dict[str, TriggersKnown]()
        beginning, limit = request.query.get("id", ""), _count(request, "limit", MAX_LISTED)
        with_event = request.query.get("with") == "event"
        needle = has_id_from(beginning)

        def wanted(line: bytes) -> bool:
            return line.startswith(begins(Accepted)) and (not beginning or needle in line)

        async with aclosing(reader.read(self._recorder, wanted, sets, since=selection.since)) as read:
            kept = [found async for found in read if selection.may_have(found.entry, beginning)]
        # Only now all the Triggers' sets are known, which the verdicts need.
        documents = [acceptance(found, sets, with_event=with_event) for found in kept]
        return _json({"events": [document for document in documents if selection.has(document)][-limit:]})

    async def _journey(self, request: web.Request) -> web.Response:
        id = await self._full_id(request.query.get("id", ""))
        related, sets = Related(id), dict[str, TriggersKnown]()
        sets[self._recorder.triggers.digest] = self._recorder.triggers
        async with aclosing(reader.batches(self._recorder)) as read:
            async for batch in read:
                related.search(batch, sets)
        return _json({"id": id, "events": journeys(related, id, sets), "is_cut": related.is_cut})

    async def _full_id(self, beginning: str) -> str:
        """Return the id, or the only one that begins so. Raises _RequestError."""
        if not beginning:
            raise _RequestError(400, "give the id of an event, or its beginning")
        needle = has_id_from(beginning)
        ids: dict[str, None] = {}
        wanted = lambda line: line.startswith(begins(Accepted)) and needle in line  # noqa: E731
        async with aclosing(reader.read(self._recorder, wanted, {})) as read:
            async for found in read:
                event = event_of(found.entry) if isinstance(found.entry, Accepted) else None
                if event is not None and event.id.startswith(beginning):
                    ids[event.id] = None
        if beginning in ids:
            return beginning
        if not ids:
            raise _RequestError(404, f"the record has no event {beginning}; {await self._reach()}")
        if len(ids) > 1:
            shown = ", ".join(list(ids)[:AMBIGUOUS_SHOWN])
            more = f" and {len(ids) - AMBIGUOUS_SHOWN} more" if len(ids) > AMBIGUOUS_SHOWN else ""
            raise _RequestError(409, f"{len(ids)} events begin with {beginning}: {shown}{more}")
        return next(iter(ids))

    async def _reach(self) -> str:
        """Say what the record has, for whoever did not find an event in it."""
        found = await reader.bounds(self._recorder)
        limits = f"it keeps {found['max_bytes'] / 2**20:g} MiB and {found['max_age_s'] / 3600:g} h"
        if found["oldest_at"] is None:
            return f"it is empty ({limits})"
        begins_at = datetime.fromtimestamp(found["oldest_at"]).astimezone().isoformat(timespec="seconds")
        return f"it begins at {begins_at} ({limits})"

    # --- live --------------------------------------------------------------------------------------------------------

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        selection = self._selection(request)
        if not self._recorder.is_on:
            raise DependencyUnavailableError("record", "nothing is recorded: `darkroom up` runs without a record")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        async with aclosing(self._happenings(selection, follow=request.query.get("follow") != "no")) as happenings:
            async for document in happenings:
                line = b": nothing happens\n\n" if document is None else b"data: " + _dumped(document) + b"\n\n"
                await response.write(line)
        return response

    async def _happenings(self, selection: Selection, *, follow: bool) -> AsyncGenerator[dict[str, Any] | None, None]:
        """Yield what happens, first what has happened since a time; None every few seconds in which nothing does."""
        sets: Sets = {}
        with self._recorder.follow() as follower:
            last = 0
            if selection.since is not None or not follow:
                async with aclosing(self._past(selection, sets)) as past:
                    async for found in past:
                        last = max(last, found.entry.number)
                        document = self._document(found, sets)
                        if document is not None and selection.has(document):
                            yield document
            while follow:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        entry = await follower.take()
                except TimeoutError:
                    yield None
                    continue
                known = self._recorder.triggers
                document = self._document(Found(entry=entry, digest=known.digest), {known.digest: known})
                if document is not None and selection.has(document) and not 0 < entry.number <= last:
                    yield document

    async def _past(self, selection: Selection, sets: Sets) -> AsyncGenerator[Found, None]:
        async with aclosing(reader.read(self._recorder, lambda _line: True, sets, since=selection.since)) as read:
            found = [each async for each in read]
        # Only now all the Triggers' sets are known.
        for each in sorted(found, key=lambda one: one.entry.number):
            yield each

    def _document(self, found: Found, sets: Sets) -> dict[str, Any] | None:
        entry = found.entry
        match entry:
            case Accepted():
                return None if event_of(entry) is None else acceptance(found, sets)
            case TriggersKnown():
                return None
            case Attempted():
                return {**_delivery(entry, sets), **attempt_document(entry), "action": entry.action}
            case Delivery():
                return {**asdict(entry), **_delivery(entry, sets)}
            case _:
                return {"kind": entry.kind, **asdict(entry)}

    # --- again -------------------------------------------------------------------------------------------------------

    async def _replay(self, request: web.Request) -> web.Response:
        numbers, to = _replay_request(await _body(request))
        target = None if to is None else self._dispatcher(to)
        found = await self._accepted(numbers)
        missing = [number for number in numbers if number not in found]
        if missing:
            raise _RequestError(404, f"{len(missing)} of these events are no longer in the record; list them again")
        results = [await send_again(found[number], self._brokers.ingress, target) for number in numbers]
        return _json({"replayed": results})

    async def _forget(self, request: web.Request) -> web.Response:
        texts = _texts_to_forget(await _body(request))
        return _json({"forgotten": await forget(self._recorder, texts)})

    async def _accepted(self, numbers: list[int]) -> dict[int, Accepted]:
        wanted, found = set(numbers), {}
        # A line's number follows its kind.
        begin = {begins(Accepted) + b',"number":%d,' % number for number in wanted}

        def is_wanted(line: bytes) -> bool:
            return b",".join(line[:80].split(b",", 2)[:2]) + b"," in begin

        async with aclosing(reader.read(self._recorder, is_wanted, {})) as read:
            async for one in read:
                if isinstance(one.entry, Accepted):
                    found[one.entry.number] = one.entry
        return found

    # --- names -------------------------------------------------------------------------------------------------------

    def _selection(self, request: web.Request) -> Selection:
        query = request.query
        trigger = query.get("trigger", "")
        route = self._dispatcher(trigger).route.trigger if trigger else None
        return Selection(
            type=query.get("type", ""),
            broker=self._broker(query.get("broker", "")),
            trigger="" if route is None else f"{route.namespace}/{route.name}",
            since=_seconds(request, "since"),
        )

    def _broker(self, name: str) -> str:
        known = ["/".join(address) for address in self._brokers.streams]
        found = [each for each in known if name in (each, each.partition("/")[2])]
        if name and len(found) != 1:
            raise _RequestError(404, f"there is no one Broker {name}; {_there_are(known)}")
        return found[0] if name else ""

    def _dispatcher(self, name: str) -> Dispatcher:
        found = [
            each
            for each in self._brokers.dispatchers
            if name in (each.name, each.route.trigger.name, f"{each.route.trigger.namespace}/{each.route.trigger.name}")
        ]
        if len(found) != 1:
            known = [each.name for each in self._brokers.dispatchers]
            raise _RequestError(404, f"there is no one Trigger {name}; {_there_are(known)}")
        return found[0]


def _there_are(names: list[str]) -> str:
    return f"there is {', '.join(sorted(names))}" if names else "there is none"


def _delivery(entry: Delivery, sets: Sets) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "number": entry.number,
        "at": entry.at,
        "broker": entry.broker,
        "trigger": entry.trigger,
        "label": _label(entry.trigger, sets),
        "id": entry.id,
        "source": entry.source,
        "type": entry.type,
    }


def _label(trigger: str, sets: Sets) -> str:
    for known in sets.values():
        for each in known.triggers:
            if each["trigger"] == trigger:
                return str(each["label"])
    return trigger


# --- requests and answers --------------------------------------------------------------------------------------------


def _guarded(handle: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except _RequestError as exc:
            return web.Response(status=exc.status, text=str(exc))
        except DependencyUnavailableError as exc:
            return web.Response(status=503, text=exc.detail)

    return guarded


async def _body(request: web.Request) -> Any:
    body = await request.content.read(MAX_REQUEST_BYTES + 1)
    if len(body) > MAX_REQUEST_BYTES:
        raise _RequestError(413, f"the request has more than {MAX_REQUEST_BYTES} bytes, the limit")
    try:
        return strict_json.load(body)
    except ValueError as exc:
        raise _RequestError(400, f"the request: {exc}") from exc


def _replay_request(body: Any) -> tuple[list[int], str | None]:
    numbers, to = (body.get("numbers"), body.get("to")) if isinstance(body, dict) else (None, None)
    sound = isinstance(numbers, list) and all(type(one) is int for one in numbers) and isinstance(to, str | None)
    if not sound or not isinstance(numbers, list):
        raise _RequestError(400, 'the request must be {"numbers": [...], "to": "TRIGGER"}; `to` may be left out')
    if len(numbers) > MAX_REPLAYED:
        raise _RequestError(413, f"{len(numbers)} events are more than {MAX_REPLAYED}, the limit")
    return list(dict.fromkeys(numbers)), to


def _texts_to_forget(body: Any) -> list[str]:
    texts = body.get("containing") if isinstance(body, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) and FORGETTABLE.fullmatch(text) for text in texts):
        raise _RequestError(
            400,
            'the request must be {"containing": ["TEXT", ...]}, each of 16 to 200 characters of ASCII without spaces, '
            "quotes and backslashes",
        )
    if len(texts) > MAX_FORGOTTEN_TEXTS:
        raise _RequestError(413, f"{len(texts)} texts are more than {MAX_FORGOTTEN_TEXTS}, the limit")
    return texts


def _seconds(request: web.Request, name: str) -> float | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # Until the year 9999, so that it is a date.
    if not 0 <= seconds < 253_402_300_000:
        raise _RequestError(400, f"{name} must be seconds since the epoch, was {text[:80]!r}")
    return seconds


def _count(request: web.Request, name: str, most: int) -> int:
    text = request.query.get(name, str(most))
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 10 or not 1 <= int(text) <= most:
        raise _RequestError(400, f"{name} must be 1 to {most}, was {text[:80]!r}")
    return int(text)


def _json(document: Any) -> web.Response:
    return web.Response(body=_dumped(document), content_type="application/json")


def _dumped(document: Any) -> bytes:
    return json.dumps(strict_json.finite(document), allow_nan=False).encode()
