"""What waits or streams ends when its key is revoked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import AuthInvalidError
from darkroom.serving.auth import KeyFileAuthenticator
from darkroom.serving.key_file import write_key_file
from darkroom.serving.revocation import Revocations
from darkroom.serving.testing import MemoryPipeline
from functions.status.app import build

ENDED_WITHIN_S = 10.0
"""Generous for a slow machine; what is tested would last for a minute otherwise."""


async def answer_after_revocation(folder: Path, query: str) -> httpx.Response:
    keys = folder / "keys.json"
    (mine, stored), (_, other) = make_key("mine"), make_key("other")
    write_key_file(keys, [stored, other])
    pipeline = MemoryPipeline("status", settings={"API_KEYS": "on", "API_KEYS_FILE": str(keys)})
    job_id = pipeline.accept(owner=stored.id)
    app = Starlette(routes=[Route("/{path:path}", build(pipeline.resources))])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://status", timeout=60) as client:
        headers = {"Authorization": f"Bearer {mine}"}
        asked = asyncio.create_task(client.get(f"/api/v1/jobs/{job_id}{query}", headers=headers))
        done, _ = await asyncio.wait([asked], timeout=1.2)
        assert not done, "it lasts while the key is valid"
        write_key_file(keys, [replace(stored, revoked_at=datetime.now(UTC)), other])
        async with asyncio.timeout(ENDED_WITHIN_S):
            return await asked


def test_a_wait_ends_when_its_key_is_revoked(tmp_path: Path) -> None:
    answer = asyncio.run(answer_after_revocation(tmp_path, "?wait=50"))
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid")


def test_a_stream_ends_when_its_key_is_revoked(tmp_path: Path) -> None:
    answer = asyncio.run(answer_after_revocation(tmp_path, "/events"))
    assert answer.status_code == 200
    assert "event: queued" in answer.text
    assert "event: completed" not in answer.text


def test_others_go_on_and_a_cancelled_request_is_not_taken_for_a_revoked_one(tmp_path: Path) -> None:
    async def run() -> None:
        keys = tmp_path / "keys.json"
        (_, one), (_, two) = make_key("one"), make_key("two")
        write_key_file(keys, [one, two])
        authenticator = KeyFileAuthenticator(keys)
        authenticator.load()
        revocations = Revocations(authenticator)

        async def last(owner: str) -> str:
            async with revocations.watch(owner):
                await asyncio.sleep(60)
            return owner

        first, second, third = (asyncio.create_task(last(key.id)) for key in (one, two, two))
        await asyncio.sleep(0)
        third.cancel()
        write_key_file(keys, [replace(one, revoked_at=datetime.now(UTC)), two])
        with pytest.raises(AuthInvalidError):
            async with asyncio.timeout(ENDED_WITHIN_S):
                await first
        assert not second.done()
        second.cancel()
        assert [type(end) for end in await asyncio.gather(second, third, return_exceptions=True)] == [
            asyncio.CancelledError,
            asyncio.CancelledError,
        ]

    asyncio.run(run())
