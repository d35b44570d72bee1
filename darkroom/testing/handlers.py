"""A subscriber that is a Python callable in the test, and what its outcome means as an HTTP answer."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

from darkroom.errors import EventInvalidError
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.delivery import Answered, TimedOut, Unreachable
from darkroom.local.eventing.subscribers import Attempt, Deliver, attempt_of

HandlerAnswer: TypeAlias = Any
"""None (204), an int (that status), an event of Darkroom's or of the CloudEvents SDK (200, the reply), or an Attempt,
as `wsgi` gives it."""
Handler: TypeAlias = Callable[[CloudEvent], HandlerAnswer | Awaitable[HandlerAnswer]]
"""What it raises is a failed delivery: TimeoutError no answer in time, ConnectionError no connection, anything else 500
with the error's text."""
Failed: TypeAlias = Callable[[BaseException], None]


def accept(event: CloudEvent) -> None:
    """Take an event and say nothing: what a subscriber does that the test did not replace."""


def delivers_to(handler: Handler, failed: Failed) -> Deliver:
    """Return the function that delivers to a handler. `failed` is told what it raises."""

    async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
        try:
            async with asyncio.timeout(timeout_s):
                return _attempt(await _in_a_thread(handler, event))
        except TimeoutError:
            return Attempt(result=TimedOut(timeout_s=timeout_s))
        except ConnectionError as exc:
            return Attempt(result=Unreachable(reason=repr(exc)))
        except _HandlerError as exc:
            error = exc.error
            failed(error)
            return Attempt(result=Answered(status=500, body=f"{type(error).__name__}: {error}".encode()))

    return deliver


class _HandlerError(Exception):
    """What a handler raised, of any class: pytest's own outcomes are no Exceptions."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(repr(error))
        self.error = error


async def _in_a_thread(handler: Handler, event: CloudEvent) -> HandlerAnswer:
    """Run a handler in a thread of its own, so that it may block without holding up other deliveries.

    A daemon: one that never returns must not keep the interpreter from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[HandlerAnswer] = loop.create_future()

    def set_result(answer: HandlerAnswer, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(answer)
        elif isinstance(error, TimeoutError | ConnectionError):
            done.set_exception(error)
        else:
            done.set_exception(_HandlerError(error))

    def run() -> None:
        answer, error = None, None
        try:
            answer = handler(event)
            if inspect.iscoroutine(answer):
                answer = asyncio.run(answer)
        except BaseException as exc:
            error = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_result, answer, error)

    threading.Thread(target=run, name=f"handler of {event.type}", daemon=True).start()
    return await done


def _attempt(answer: HandlerAnswer) -> Attempt:
    match answer:
        case None:
            return Attempt(result=Answered(status=204))
        case Attempt():
            return answer
        case bool():
            pass
        case int():
            return Attempt(result=Answered(status=answer))
        case CloudEvent():
            return attempt_of(200, *_checked(answer))
        case _ if type(answer).__module__.partition(".")[0] == "cloudevents":
            return attempt_of(200, *_of_the_sdk(answer))
    raise _HandlerError(
        TypeError(f"a handler returns None, an event or a status code, not {type(answer).__name__}: {answer!r}")
    )


def _checked(event: CloudEvent) -> tuple[Mapping[str, str], bytes]:
    headers, body = cloudevents.encode_binary(event)
    try:
        cloudevents.parse_one(headers, body)
    except EventInvalidError as exc:
        raise _HandlerError(TypeError(f"the handler's reply is no CloudEvent: {exc.detail}")) from exc
    return headers, body


def _of_the_sdk(event: Any) -> tuple[Mapping[str, str], bytes]:
    from cloudevents.conversion import to_binary

    headers, body = to_binary(event)
    return cast(Mapping[str, str], headers), body or b""
