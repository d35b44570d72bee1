"""The requests to the API and its possible responses, without any I/O, shared by both clients.

Each conversation is a generator. It yields a `Send` or a `Sleep`, is sent the response (`Lost` if there was none, None
after a `Sleep`), and returns its result. The clients execute the steps, one on a thread and one on an event loop.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import httpx

from darkroom.client.errors import ApiError, JobFailedError, NotAnsweringError, StillRunningError
from darkroom.client.jobs import JobPage, JobState
from darkroom.contract.job_types import job_type_named
from darkroom.contract.jobs import JobStatus
from darkroom.contract.listing import MAX_WAIT_S
from darkroom.contract.picture_facts import PictureFacts
from darkroom.contract.priorities import BACKGROUND_PRIORITY

WAIT_S = 20.0
"""The length of one `?wait=`: below the time limits of proxies on the way."""
ANSWER_S = 30.0
_LAST_ANSWER_S = 0.5
"""How long the last answer may take when the caller's time is up."""
DIRECT: Mapping[str, None] = dict.fromkeys(
    ("all://127.0.0.1", "all://localhost", "all://*.localhost", "all://[::1]"), None
)
"""httpx' mounts without a proxy, whatever the environment says: a proxy's loopback is another machine's."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_LONGEST_RETRY_AFTER_S = 120.0


@dataclass(frozen=True)
class Stored:
    """A picture that is in storage already, such as one that was sent by a signed upload."""

    storage_key: str


Picture: TypeAlias = str | Path | bytes | BinaryIO | Stored
"""A path, the bytes, a binary file or stream, or a picture that is in storage."""
Progress: TypeAlias = Callable[[JobState], None]


@dataclass(frozen=True, kw_only=True)
class Send:
    """An httpx request, as the keywords of `Client.request`."""

    method: str
    url: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sleep:
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The request got no response; `reason` says why."""

    reason: str


Step: TypeAlias = Send | Sleep
Reply: TypeAlias = httpx.Response | Lost | None
ResultT = TypeVar("ResultT")
Conversation: TypeAlias = Generator[Step, Reply, ResultT]


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often, and for how long in total, a request is repeated that got no response, or a 429, 502, 503 or 504."""

    times: int = 5
    within_s: float = 60.0


def ask(send: Send, retries: Retries) -> Conversation[httpx.Response]:
    """Send a request until its response does not call for a retry, and return the response, whatever its status.

    Every request may be sent twice: those that create a job have an Idempotency-Key. Raises NotAnsweringError.
    """
    ends_at = time.monotonic() + retries.within_s
    for attempt in range(retries.times + 1):
        answer = yield send
        if isinstance(answer, httpx.Response) and answer.status_code not in {429, 502, 503, 504}:
            return answer
        pause_s = _pause_s(answer, attempt)
        if attempt == retries.times or time.monotonic() + pause_s > ends_at:
            break
        yield Sleep(seconds=pause_s)
    if isinstance(answer, httpx.Response):
        return answer
    reason = answer.reason if isinstance(answer, Lost) else "no answer"
    raise NotAnsweringError(f"{send.url} does not answer ({reason})")


def submit(
    picture: Picture,
    job_type: str,
    parameters: Mapping[str, Any],
    retries: Retries,
    idempotency_key: str | None = None,
    *,
    background: bool = False,
) -> Conversation[str]:
    """Submit a picture and return the job's id; without an idempotency key, each call is a job of its own.

    Raises ApiError and NotAnsweringError; UnknownJobTypeError before anything is sent.
    """
    asked = {name: value for name, value in parameters.items() if value is not None}
    body = _by_key(picture, job_type, asked) if isinstance(picture, Stored) else _form(picture, asked)
    headers = {"idempotency-key": idempotency_key or str(uuid.uuid4())}
    if background:
        headers["priority"] = BACKGROUND_PRIORITY
    send = Send(method="POST", url=job_type_named(job_type).path, options={**body, "headers": headers})
    document = _document((yield from ask(send, retries)), "job_id")
    return str(document["job_id"])


def _form(picture: str | Path | bytes | BinaryIO, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's body as a form with the picture. httpx rewinds a file before it sends it again."""
    data = {name: _text(value) for name, value in asked.items()}
    return {"files": {"image": _read(picture)}, "data": data}


def _by_key(picture: Stored, job_type: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's body as JSON that names the picture in storage."""
    own = {name: asked[name] for name in ("preset", "renditions") if name in asked}
    parameters = {name: value for name, value in asked.items() if name not in own}
    if parameters or not own:
        own["parameters"] = parameters
    return {"json": {**own, "input": {"storage_key": picture.storage_key}}}


def asked_renditions(renditions: Mapping[str, Any] | None, presets: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a request for renditions."""
    asked: dict[str, Any] = {}
    if renditions:
        asked["renditions"] = dict(renditions)
    if presets:
        asked["preset"] = ",".join(presets)
    return asked


def file_name(name: str, result: Mapping[str, Any]) -> str:
    """Return the name of a rendition's file, with the extension of its key in storage."""
    return f"{name}.{str(result['storage_key']).rpartition('.')[2]}"


def presets(retries: Retries) -> Conversation[list[dict[str, Any]]]:
    """Return the presets as they are now: name, type, parameters, digest. Raises ApiError and NotAnsweringError."""
    document = _document((yield from ask(Send(method="GET", url="/api/v1/presets"), retries)), "presets")
    return list(document["presets"])


def job(job_id: str, retries: Retries, *, wait_s: float = 0.0, answer_s: float = ANSWER_S) -> Conversation[JobState]:
    """Return the job, as soon as it is final or `wait_s` have passed. Raises ApiError and NotAnsweringError.

    `answer_s` is how long an answer may take beyond `wait_s`.
    """
    options: dict[str, Any] = {"timeout": wait_s + answer_s}
    if wait_s > 0:
        options["params"] = {"wait": f"{min(wait_s, MAX_WAIT_S):.3f}"}
    answer = yield from ask(Send(method="GET", url=f"/api/v1/jobs/{job_id}", options=options), retries)
    return JobState(document=_document(answer, "job_id", "status"))


def wait(
    job_id: str, retries: Retries, *, timeout_s: float, progress: Progress | None = None
) -> Conversation[JobState]:
    """Return the job once it has completed; `progress` is called with each change of its status.

    Raises JobFailedError, StillRunningError, ApiError and NotAnsweringError.
    """
    state = yield from end_of(job_id, retries, timeout_s=timeout_s, progress=progress)
    if state.status is JobStatus.FAILED:
        raise JobFailedError(job_id, state.error)
    return state


def end_of(
    job_id: str, retries: Retries, *, timeout_s: float, progress: Progress | None = None
) -> Conversation[JobState]:
    """Return the job once it has ended, either way; `timeout_s` bounds the retries too."""
    ends_at = time.monotonic() + timeout_s
    seen: JobStatus | None = None
    while True:
        left_s = max(0.0, ends_at - time.monotonic())
        # The first request does not wait, so that progress begins with the job as it is.
        wait_s = 0.0 if seen is None and progress is not None else min(left_s, WAIT_S)
        within = replace(retries, within_s=min(retries.within_s, left_s))
        answer_s = max(_LAST_ANSWER_S, min(ANSWER_S, left_s - wait_s))
        try:
            state = yield from job(job_id, within, wait_s=wait_s, answer_s=answer_s)
        except NotAnsweringError as exc:
            if seen is None or time.monotonic() < ends_at:
                raise
            raise StillRunningError(job_id, seen.value, timeout_s) from exc
        if progress is not None and state.status is not seen:
            progress(state)
        seen = state.status
        if state.is_final:
            return state
        if ends_at <= time.monotonic():
            raise StillRunningError(job_id, state.status.value, timeout_s)


def jobs(retries: Retries, *, query: Mapping[str, Any]) -> Conversation[JobPage]:
    params = {name: str(value) for name, value in query.items() if value is not None}
    answer = yield from ask(Send(method="GET", url="/api/v1/jobs", options={"params": params}), retries)
    document = _document(answer, "jobs")
    return JobPage(jobs=[JobState(document=one) for one in document["jobs"]], next_cursor=document.get("next_cursor"))


def cancel(job_id: str, retries: Retries) -> Conversation[JobState]:
    """Cancel a job that has not ended, and return it. Raises ApiError and NotAnsweringError."""
    answer = yield from ask(Send(method="POST", url=f"/api/v1/jobs/{job_id}/cancel"), retries)
    return JobState(document=_document(answer, "job_id", "status"))


def erase(job_id: str, retries: Retries) -> Conversation[None]:
    """Erase a job and its pictures. Raises ApiError and NotAnsweringError."""
    answer = yield from ask(Send(method="DELETE", url=f"/api/v1/jobs/{job_id}"), retries)
    if answer.status_code != 204:
        _document(answer)
        raise NotAnsweringError(f"{answer.request.url} answered {answer.status_code}, but is not Darkroom's API")


def facts(storage_key: str, retries: Retries) -> Conversation[PictureFacts]:
    """Return what the header of a stored picture says. Raises ApiError and NotAnsweringError."""
    send = Send(method="GET", url="/api/v1/facts", options={"params": {"storage_key": storage_key}})
    # Fields that a newer server has more are left out.
    document = _document((yield from ask(send, retries)))
    known = {name: document[name] for name in PictureFacts.model_fields if name in document}
    return PictureFacts.model_validate(known)


def download(url: str, retries: Retries) -> Conversation[bytes]:
    """Fetch a signed URL, without our API key, which the storage must not see."""
    answer = yield from ask(Send(method="GET", url=url, options={"auth": None}), retries)
    if answer.status_code != 200:
        raise NotAnsweringError(f"the signed URL answered {answer.status_code}")
    return answer.content


class KeyAuth(httpx.Auth):
    """Adds the API key to requests to the API. The key is in no `repr`."""

    def __init__(self, api_key: str) -> None:
        self._value = f"Bearer {api_key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = self._value
        yield request


def auth(api_key: str | None) -> KeyAuth | None:
    return None if api_key is None else KeyAuth(api_key)


def loss(error: httpx.TransportError) -> str:
    """Return why a request got no response, in words even where the library gives none."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


def _document(answer: httpx.Response, *members: str) -> dict[str, Any]:
    """Return the answer's document. Raises ApiError if it is a problem, NotAnsweringError if it is not of this API."""
    try:
        document: Any = answer.json()
    except ValueError as exc:
        raise NotAnsweringError(f"{answer.request.url} answered {answer.status_code}, and no JSON") from exc
    if not isinstance(document, dict):
        raise NotAnsweringError(f"{answer.request.url} answered {answer.status_code}, and no JSON object")
    if answer.is_success and all(member in document for member in members):
        return document
    if answer.is_success:
        raise NotAnsweringError(f"{answer.request.url} answered {answer.status_code}, but is not Darkroom's API")
    if "code" not in document:
        raise NotAnsweringError(f"{answer.request.url} answered {answer.status_code}, and no problem document")
    raise ApiError(answer.status_code, document)


def _pause_s(answer: Reply, attempt: int) -> float:
    """Return the pause that the response asks for; else one that doubles each time, with jitter, so that clients spread
    out.
    """
    given = answer.headers.get("retry-after", "") if isinstance(answer, httpx.Response) else ""
    if given.isascii() and given.isdigit():
        return min(float(given), _LONGEST_RETRY_AFTER_S)
    pause_s = min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S)
    # Jitter needs no secrecy.
    return pause_s * random.uniform(0.5, 1.0)  # noqa: S311


def _read(picture: str | Path | bytes | BinaryIO) -> tuple[str, bytes | BinaryIO]:
    if isinstance(picture, bytes):
        return "picture", picture
    if not isinstance(picture, str | Path):
        # What cannot be rewound could not be sent again.
        return "picture", picture if picture.seekable() else picture.read()
    path = Path(picture)
    return path.name, path.read_bytes()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return str(value)
