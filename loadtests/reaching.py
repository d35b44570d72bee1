"""Checks the addresses before the load, so that a wrong one is reported in seconds and not after the run.

`/health/live` and a list of jobs with the key are asked for once each. Where the functions that answer them stand at
zero, this starts them; those that do the work stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from loadtests.errors import UnreachableError

_CONNECT_S = 5.0
_ANSWER_S = 30.0
"""An instance may have to start first."""
_LIVE, _JOBS = "/health/live", "/api/v1/jobs?limit=1"


def check_target(host: str, headers: Mapping[str, str], *, transport: httpx.BaseTransport | None = None) -> None:
    """Raise UnreachableError if no Darkroom answers at the address, or if it does not accept the key in the headers."""
    timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
    with httpx.Client(base_url=host, timeout=timeout, transport=transport, trust_env=False) as http:
        answer = _answer(http, _LIVE, {})
        if answer.status_code != 200:
            raise UnreachableError(f"{host}{_LIVE} answers {answer.status_code}, not 200: is a Darkroom there?")
        answer = _answer(http, _JOBS, headers)
    if answer.status_code in {401, 403}:
        given = "the one in DARKROOM_API_KEY is not valid" if headers else "set DARKROOM_API_KEY"
        raise UnreachableError(f"{host} requires an API key: {given} ({_JOBS} answers {answer.status_code})")
    if answer.status_code != 200:
        raise UnreachableError(f"{host}{_JOBS} answers {answer.status_code}, not 200: is a Darkroom there?")


def _answer(http: httpx.Client, path: str, headers: Mapping[str, str]) -> httpx.Response:
    try:
        return http.get(path, headers=dict(headers))
    except httpx.ConnectTimeout as exc:
        raise UnreachableError(f"nothing answers at {http.base_url}: no connection within {_CONNECT_S:g} s") from exc
    except httpx.TimeoutException as exc:
        raise UnreachableError(f"{http.base_url} does not answer {path} within {_ANSWER_S:g} s") from exc
    except httpx.HTTPError as exc:
        raise UnreachableError(f"nothing answers at {http.base_url}: {exc}") from exc
