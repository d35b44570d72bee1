"""Who may see the console's pages and who may act: keys, scopes, Host, Origin, sessions; and the audit log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import Entry, FileAudit
from darkroom.console.extension import Section
from darkroom.console.keys import KeyFile
from darkroom.console.shell import Attempt, Shell
from tests.console_actions import OWN_ORIGIN, actions, ask, write_keys


@dataclass
class ShopPages:
    """An application's pages: one action that needs `act`, one that needs `read`."""

    sections: Sequence[Section] = (Section(title="Orders", path="/orders", position=500),)
    templates: Sequence[tuple[str, str]] = ()
    done: list[str] = field(default_factory=list)

    def routes(self, shell: Shell) -> Sequence[Route]:
        async def cancel(request: Request, attempt: Attempt) -> Response:
            attempt.target = f"order {request.path_params['id']}"
            attempt.details["reason"] = "asked for"
            self.done.append(attempt.target)
            return shell.redirect("/orders")

        async def count(_request: Request, _attempt: Attempt) -> Response:
            self.done.append("count")
            return PlainTextResponse("7")

        async def fail(_request: Request, attempt: Attempt) -> Response:
            attempt.target = "order 9"
            raise ValueError("the shop is closed")

        async def orders(_request: Request) -> Response:
            return PlainTextResponse("no orders")

        return [
            Route("/orders", orders),
            Route("/orders/{id}/cancel", shell.action("act", cancel, name="orders.cancel"), methods=["POST"]),
            Route("/orders/count", shell.action("read", count), methods=["POST"]),
            Route("/orders/fail", shell.action("act", fail), methods=["POST"]),
        ]

    def close(self) -> None:
        return None


@dataclass
class Console:
    application: Starlette
    audit: FileAudit
    pages: ShopPages
    keys: dict[str, str]
    keys_file: Path

    @property
    def log(self) -> list[Entry]:
        return list(self.audit.recent(100))


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that asks for keys."""
    file, pages = tmp_path / "keys.json", ShopPages()
    keys = write_keys(file, reader="read", actor="act")
    audit = FileAudit(path=tmp_path / "audit.jsonl")
    application = console_application(access=Access(keys=KeyFile(path=file)), audit=audit, pages=pages)
    return Console(application=application, audit=audit, pages=pages, keys=keys, keys_file=file)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# --- must-show: every action is refused to whoever may not --------------------------------------------------------


def test_every_action_is_refused_without_a_key_and_with_an_unknown_one(console: Console) -> None:
    found = [path for path, action in actions(console.application) if action.scope != "none"]
    assert len(found) == 3
    for path in found:
        for headers in ({}, bearer("dck_unknown"), {"Cookie": "darkroom_console=cmVhZGVy.9999999999.00"}):
            answer = ask(console.application, "POST", path, headers=headers)
            assert answer.status_code == 401, path
            assert "operator&#39;s key" in answer.text
    assert console.pages.done == []
    assert {(entry.who, entry.outcome) for entry in console.log} == {("", "refused")}
    assert len(console.log) == 3 * len(found)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=["another site", "null", "another port", "with fetch metadata"],
)
def test_every_action_is_refused_from_another_origin(console: Console, headers: dict[str, str]) -> None:
    for path, _ in actions(console.application):
        answer = ask(console.application, "POST", path, headers={**bearer(console.keys["actor"]), **headers})
        assert answer.status_code == 403, path
        assert "may not act here" in answer.text
    assert console.pages.done == []


def test_an_action_without_an_origin_is_refused_if_the_browser_says_that_it_is_another_sites(console: Console) -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=console.application)
        async with httpx.AsyncClient(transport=transport, base_url=OWN_ORIGIN) as client:
            headers = {**bearer(console.keys["actor"]), "Sec-Fetch-Site": "cross-site"}
            return await client.post("/console/orders/count", headers=headers)

    import asyncio

    assert asyncio.run(send()).status_code == 403
    assert console.pages.done == []


def test_every_action_and_page_is_refused_under_a_foreign_host(console: Console) -> None:
    evil = {"Host": "evil.example:8082", "Origin": "http://evil.example:8082"}
    for path, _ in actions(console.application):
        answer = ask(console.application, "POST", path, headers={**bearer(console.keys["actor"]), **evil})
        assert answer.status_code == 403, path
        assert "evil.example" in answer.text
    for path in ("/console/orders", "/console/audit", "/console/static/live.js", "/console/health"):
        assert ask(console.application, "GET", path, headers=evil).status_code == 403, path
    assert console.pages.done == []


def test_every_action_that_changes_something_is_refused_to_a_read_only_key(console: Console) -> None:
    for path, action in actions(console.application):
        if action.scope != "act":
            continue
        answer = ask(console.application, "POST", path, headers=bearer(console.keys["reader"]))
        assert answer.status_code == 403, path
        assert "reader" in answer.text
    assert console.pages.done == []
    assert {(entry.who, entry.outcome) for entry in console.log} == {("reader", "refused")}


def test_an_application_whose_changes_nobody_would_check_does_not_start(tmp_path: Path) -> None:
    async def unchecked(_request: Request) -> Response:
        return PlainTextResponse("done")

    class Careless(ShopPages):
        def routes(self, shell: Shell) -> Sequence[Route]:
            return [Route("/orders/drop", unchecked, methods=["POST"])]

    with pytest.raises(TypeError, match=r"/orders/drop must come from Shell\.action"):
        console_application(access=Access(), audit=FileAudit(path=tmp_path / "a"), pages=Careless())


# --- what is allowed -----------------------------------------------------------------------------------------------


def test_a_key_that_may_act_acts_and_the_audit_log_tells_it(console: Console) -> None:
    answer = ask(console.application, "POST", "/console/orders/5/cancel", headers=bearer(console.keys["actor"]))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")
    [entry] = console.log
    assert (entry.who, entry.action, entry.target, entry.outcome) == ("actor", "orders.cancel", "order 5", "done")
    assert entry.details == {"reason": "asked for"}
    assert console.pages.done == ["order 5"]


def test_a_read_only_key_may_do_what_only_reads(console: Console) -> None:
    answer = ask(console.application, "POST", "/console/orders/count", headers=bearer(console.keys["reader"]))
    assert answer.text == "7"


def test_an_action_that_fails_is_in_the_audit_log(console: Console) -> None:
    with pytest.raises(ValueError, match="the shop is closed"):
        ask(console.application, "POST", "/console/orders/fail", headers=bearer(console.keys["actor"]))
    [entry] = console.log
    assert (entry.action, entry.target, entry.outcome) == ("fail", "order 9", "failed")
    assert entry.details == {"error": "ValueError: the shop is closed"}


def test_the_audit_log_is_for_its_owner_only(console: Console) -> None:
    ask(console.application, "POST", "/console/orders/count", headers=bearer(console.keys["reader"]))
    assert console.audit.path.stat().st_mode & 0o777 == 0o600


def test_the_audit_log_is_bounded_and_tells_the_latest_across_its_files(tmp_path: Path) -> None:
    audit = FileAudit(path=tmp_path / "audit.jsonl", max_bytes=2000, kept_files=2)
    for number in range(100):
        audit.record("ana", "orders.cancel", str(number), "done", {})
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    for name in files:
        assert (tmp_path / name).stat().st_size < 2200
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert [int(entry.target) for entry in audit.recent(20)] == list(range(99, 79, -1))


def test_without_keys_whoever_is_on_this_machine_acts(tmp_path: Path) -> None:
    pages = ShopPages()
    audit = FileAudit(path=tmp_path / "audit.jsonl")
    application = console_application(access=Access(), audit=audit, pages=pages)
    assert ask(application, "POST", "/console/orders/5/cancel").status_code == 303
    assert [entry.who for entry in audit.recent(10)] == ["local"]
    page = ask(application, "GET", "/console/audit")
    assert page.status_code == 200
    assert "orders.cancel" in page.text


def test_a_name_that_is_configured_is_served(tmp_path: Path) -> None:
    access = Access(hosts=frozenset({"console.shop.example"}))
    application = console_application(access=access, audit=FileAudit(path=tmp_path / "a"), pages=ShopPages())
    named = {"Host": "console.shop.example", "Origin": "https://console.shop.example"}
    assert ask(application, "POST", "/console/orders/5/cancel", headers=named).status_code == 303


# --- pages and sessions --------------------------------------------------------------------------------------------


def test_pages_need_a_key_and_send_a_browser_to_sign_in(console: Console) -> None:
    answer = ask(console.application, "GET", "/console/orders")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?next=/orders")
    assert ask(console.application, "GET", "/console/orders", headers={"Accept": "*/*"}).status_code == 401
    assert ask(console.application, "GET", "/console/static/console.css").status_code == 200


def sign_in(console: Console, key: str, following: str = "/orders") -> httpx.Response:
    return ask(console.application, "POST", "/console/sign-in", data={"key": key, "next": following})


def session(console: Console, key: str) -> dict[str, str]:
    return {"Cookie": sign_in(console, key).headers["set-cookie"].partition(";")[0]}


def test_signing_in_begins_a_session_that_can_do_what_the_key_can(console: Console) -> None:
    answer = sign_in(console, console.keys["reader"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")
    cookie = answer.headers["set-cookie"]
    assert console.keys["reader"] not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= {part.strip() for part in cookie.split(";")}
    headers = session(console, console.keys["reader"])
    assert ask(console.application, "GET", "/console/orders", headers=headers).text == "no orders"
    assert ask(console.application, "POST", "/console/orders/5/cancel", headers=headers).status_code == 403
    headers = session(console, console.keys["actor"])
    assert ask(console.application, "POST", "/console/orders/5/cancel", headers=headers).status_code == 303


def test_a_session_ends_when_its_key_is_removed(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.console.keys._LOOKED_AT_EVERY_S", 0)
    headers = session(console, console.keys["actor"])
    write_keys(console.keys_file, reader="read")
    os.utime(console.keys_file, ns=(1, 1))
    assert ask(console.application, "POST", "/console/orders/5/cancel", headers=headers).status_code == 401


def test_a_session_of_another_operator_cannot_be_made_from_ones_own(console: Console) -> None:
    cookie = session(console, console.keys["reader"])["Cookie"]
    forged = cookie.replace("cmVhZGVy", "YWN0b3I")
    assert forged != cookie
    answer = ask(console.application, "POST", "/console/orders/5/cancel", headers={"Cookie": forged})
    assert answer.status_code == 401


def test_a_wrong_key_does_not_sign_in(console: Console) -> None:
    answer = sign_in(console, "dck_wrong")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert [(entry.action, entry.outcome) for entry in console.log] == [("sign-in", "refused")]


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_signing_in_leads_nowhere_else(console: Console, following: str) -> None:
    assert sign_in(console, console.keys["reader"], following).headers["location"] == "/console/"


def test_a_file_of_keys_that_cannot_be_read_refuses_everybody(console: Console) -> None:
    console.keys_file.write_text('{"keys": [{"name": "x"}]}')
    answer = ask(console.application, "GET", "/console/orders", headers=bearer(console.keys["actor"]))
    assert answer.status_code == 503
    assert "keys.0.scope" in answer.text


def test_pages_let_nothing_of_elsewhere_run_or_be_embedded(console: Console) -> None:
    answer = ask(console.application, "GET", "/console/audit", headers=bearer(console.keys["reader"]))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
