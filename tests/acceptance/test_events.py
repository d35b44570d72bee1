"""`darkroom events` in a project that is not Darkroom: send, show, tail, replay, export and import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from darkroom.cli.commands import command
from tests.acceptance.test_foreign_project import BROKER
from tests.scripted_http import Reply, ScriptedServer, scripted_server
from tests.stack import RunningStack, eventually, running_stack

TRIGGER = """
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: {name}, namespace: shop}}
spec:
  broker: orders
  filters: {filters}
  subscriber: {{uri: "{subscriber}"}}
  delivery:
    retry: 1
    backoffPolicy: linear
    backoffDelay: PT0.1S
    deadLetterSink: {{uri: "{dead}"}}
"""
REPLY_HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "confirmation",
    "ce-source": "/confirm",
    "ce-type": "shop.order.confirmed",
    "content-type": "application/json",
}
UUID_CHARACTERS = 36


@dataclass
class Shop:
    stack: RunningStack
    confirm: ScriptedServer
    warehouse: ScriptedServer
    dead: ScriptedServer

    def run(self, *arguments: str, input: str = "", fails: bool = False) -> Result:
        """Run the command in this process, which is much quicker than in one of its own."""
        environment = {"DARKROOM_DATA": str(self.stack.data)}
        done = CliRunner(env=environment).invoke(command, ["events", *arguments], input=input)
        assert (done.exit_code != 0) == fails, done.output
        assert done.exit_code in (0, 1, 2), done.output
        return done

    def send(self, type: str = "shop.order.placed", *options: str) -> str:
        return self.run("send", type, "--data", '{"order": 7}', *options).stdout.strip()

    def journey(self, id: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run("show", id, "--json").stdout)
        return document

    def settled(self, id: str) -> dict[str, Any]:
        """The way of an event, once each Trigger is done with it."""

        def look() -> dict[str, Any] | None:
            event: dict[str, Any] = self.journey(id)["events"][0]
            under_way = {"waiting", "retrying", "being dead-lettered"}
            return None if under_way & {way["state"] for way in event["triggers"]} else event

        return eventually(look, within_s=30, what=f"all are done with {id}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    confirmed = Reply(status=200, body=b'{"ok":true}', headers=REPLY_HEADERS)
    with (
        scripted_server(confirmed) as confirm,
        scripted_server(Reply(status=503, body=b"out of \x1b[31mboxes")) as warehouse,
        scripted_server(Reply(status=204)) as dead,
    ):
        filters = '[{exact: {type: "%s"}}]'
        rows = (
            ("confirm", filters % "shop.order.placed", confirm.url),
            ("warehouse", "[{prefix: {type: shop.order.p}}]", warehouse.url),
            ("refunds", filters % "shop.refund", confirm.url),
        )
        triggers = [
            TRIGGER.format(name=name, filters=filter, subscriber=url, dead=dead.url) for name, filter, url in rows
        ]
        (folder / "shop.yaml").write_text(BROKER + "".join(triggers))
        with running_stack(folder / "data", cwd=folder) as stack:
            yield Shop(stack=stack, confirm=confirm, warehouse=warehouse, dead=dead)


def _way(event: Mapping[str, Any], trigger: str) -> dict[str, Any]:
    return next(way for way in event["triggers"] if way["trigger"] == f"shop/{trigger}")


def test_show_says_everything_about_an_event_that_was_sent(shop: Shop) -> None:
    id = shop.send("shop.order.placed", "--subject", "order-7", "--ext", "tier=gold")
    assert len(id) == UUID_CHARACTERS
    event = shop.settled(id)
    assert (event["door"], event["broker"], event["subject"]) == ("http", "shop/orders", "order-7")
    assert event["event"]["data"] == {"order": 7}
    assert event["event"]["tier"] == "gold"
    assert not {name for name in event["event"] if name.startswith("knative")}
    confirm, warehouse, refunds = (_way(event, name) for name in ("confirm", "warehouse", "refunds"))
    assert (confirm["state"], confirm["attempts"][0]["status"]) == ("replied", 200)
    assert confirm["attempts"][0]["reply"] == {"id": "confirmation", "type": "shop.order.confirmed"}
    assert [attempt["status"] for attempt in warehouse["attempts"]] == [503, 503]
    assert warehouse["state"] == "dead-lettered"
    assert warehouse["dead_letter"]["outcome"] == "204"
    assert refunds["state"] == "filtered out"
    assert refunds["why"] == "type shop.order.placed is not shop.refund (exact)"
    [caused] = event["caused"]
    assert (caused["how"], caused["trigger"], caused["event"]["id"]) == ("reply", "shop/confirm", "confirmation")
    assert {way["state"] for way in caused["event"]["triggers"]} == {"filtered out"}


def test_without_a_terminal_each_fact_is_a_line_of_fields_and_nothing_acts_on_a_terminal(shop: Shop) -> None:
    id = shop.send()
    shop.settled(id)
    lines = [line.split("\t") for line in shop.run("show", id[:13]).stdout.splitlines()]
    assert lines[0][:4] == ["accepted", "0", id, "shop.order.placed"]
    assert ["trigger", "0", id, "shop/refunds", "filtered out"] in [line[:5] for line in lines]
    outcomes = [line[7] for line in lines if line[0] == "attempt" and line[3] == "shop/warehouse"]
    assert outcomes[1] == "503 out of \\x1b[31mboxes"


def test_tail_shows_live_what_happens(shop: Shop) -> None:
    with tailing(shop, "--json", "--trigger", "warehouse") as lines:
        id = shop.send()
        kinds = []
        while "dead_lettered" not in kinds:
            shown = json.loads(next(lines))
            if shown["id"] == id:
                kinds.append(shown["kind"])
    assert kinds == ["accepted", "attempted", "attempted", "dead_lettered"]


def test_tail_shows_what_was_before_too(shop: Shop) -> None:
    id = shop.send("shop.refund")
    shop.settled(id)
    shown = shop.run("tail", "--since", "10m", "--no-follow", "--type", "shop.ref*").stdout.splitlines()
    fields = [line.split("\t") for line in shown if id in line]
    assert [row[1] for row in fields] == ["accepted", "attempted"]
    assert {row[4] for row in fields} == {"shop/orders"}


@contextmanager
def tailing(shop: Shop, *options: str) -> Iterator[Iterator[str]]:
    """A tail that is known to follow: it has shown an event."""
    with subprocess.Popen(
        [sys.executable, "-m", "darkroom.cli", "events", "tail", "--since", "1h", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DARKROOM_DATA": str(shop.stack.data)},
    ) as process:
        try:
            assert process.stdout is not None
            yield iter(process.stdout)
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()


def test_a_replay_is_a_new_event_that_names_the_first(shop: Shop) -> None:
    id = shop.send()
    shop.settled(id)
    [row] = [line.split("\t") for line in shop.run("replay", id[:20]).stdout.splitlines()]
    assert row[0] == id
    again = shop.settled(row[1])
    assert (again["door"], again["replay_of"]) == ("replay", id)
    assert again["event"]["data"] == {"order": 7}
    below = [each["event"]["id"] for each in shop.journey(id)["events"][0]["caused"] if each["how"] == "replay"]
    assert below == [row[1]]


def test_a_replay_to_one_trigger_reaches_nobody_else(shop: Shop) -> None:
    id = shop.send()
    shop.settled(id)
    before = len(shop.warehouse.received)
    [row] = [line.split("\t") for line in shop.run("replay", id, "--to", "confirm").stdout.splitlines()]
    event = shop.settled(row[1])
    assert [way["trigger"] for way in event["triggers"]] == ["shop/confirm"]
    assert len(shop.warehouse.received) == before
    assert shop.confirm.received[-1].headers["ce-replayof"] == id
    refused = shop.run("replay", id, "--to", "refunds", fails=True)
    assert "filters it out: type shop.order.placed is not shop.refund (exact)" in refused.stdout


def test_a_selection_is_counted_first_and_many_are_not_sent_unasked(shop: Shop) -> None:
    type = f"shop.refund.n{uuid.uuid4().hex}"
    ids = shop.run("send", type, "--count", "12").stdout.split()
    assert len(set(ids)) == 12
    dry = shop.run("replay", "--type", type, "--dry-run")
    assert [line.split("\t")[1] for line in dry.stdout.splitlines()] == ids
    assert "would replay 12 events" in dry.stderr
    unasked = shop.run("replay", "--type", type, fails=True)
    assert "--yes confirms it" in unasked.stderr
    done = shop.run("replay", "--type", type, "--yes")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ids


def test_what_is_exported_can_be_imported(shop: Shop, tmp_path: Path) -> None:
    type = f"shop.refund.x{uuid.uuid4().hex}"
    ids = [shop.send(type, "--id", f"{number}-{uuid.uuid4()}") for number in range(3)]
    file, lines = tmp_path / "batch.json", tmp_path / "batch.jsonl"
    for each in (file, lines):
        shop.run("export", str(each), "--type", type)
    batch = json.loads(file.read_text())
    assert [event["id"] for event in batch] == ids
    assert [json.loads(line) for line in lines.read_text().splitlines()] == batch
    dropped = shop.run("import", str(file))
    assert "3 dropped by the Broker" in dropped.stderr
    new = shop.run("import", "-", "--new-ids", input=lines.read_text()).stdout.split()
    assert [shop.journey(id)["events"][0]["event"]["data"] for id in new] == [{"order": 7}] * 3
    assert [one["is_duplicate"] for one in shop.journey(ids[0])["events"]] == [False, True]


def test_mistakes_end_in_one_sentence(shop: Shop, tmp_path: Path) -> None:
    beginning = f"same-{uuid.uuid4()}"
    for ending in "ab":
        shop.send("shop.refund", "--id", beginning + ending)
    cases = {
        ("show", "nobody"): ["the record has no event nobody; it begins at ", "it keeps 64 MiB and 24 h"],
        ("show", beginning): [f"2 events begin with {beginning}: {beginning}a, {beginning}b"],
        ("show", ""): ["give the id of an event"],
        ("replay", "nobody"): ["the record has no event nobody"],
        ("replay",): ["give the ids of events, or --type"],
        ("send", ""): ["type must not be empty"],
        ("send", "a b\n"): ["type holds the character U+000A"],
        ("send", "t", "--data", "{nonsense"): ["--data is neither JSON", "nor a file that exists"],
        ("send", "t", "--ext", "Tier=x"): ["--ext takes NAME=VALUE"],
        ("send", "t", "--broker", "other"): ["there is no one Broker other; there is shop/orders"],
        ("tail", "--trigger", "nobody"): ["there is no one Trigger nobody; there is confirm, refunds, warehouse"],
        ("tail", "--since", "yesterday"): ["must be a duration such as 10m"],
        ("import", str(tmp_path / "absent")): ["No such file"],
    }
    for arguments, sentences in cases.items():
        done = shop.run(*arguments, fails=True)
        assert all(sentence in done.stderr for sentence in sentences), (arguments, done.stderr)
    event = '{"specversion":"1.0","id":"1","source":"/s","type":"shop.refund"}'
    texts = {"{": "the file is no JSON", '[{"id":"1"}]': "event 1: specversion", event + "\n{": "line 2: not JSON"}
    for text, sentence in texts.items():
        assert sentence in shop.run("import", "-", input=text, fails=True).stderr


def test_foreign_pages_may_not_replay(shop: Shop) -> None:
    url = f"{shop.stack.addresses['admin']}/record/replay"
    assert httpx.post(url, json={"numbers": []}, headers={"origin": "http://evil.example"}).status_code == 403
    assert httpx.post(url, json={"numbers": []}, headers={"host": "evil.example"}).status_code in (403, 421)
    assert httpx.get(url).status_code == 405
    assert httpx.post(url, content=b'{"numbers": "all"}').status_code == 400


def test_the_record_survives_a_kill_of_nats(shop: Shop) -> None:
    before = shop.send("shop.refund")
    shop.settled(before)
    os.kill(shop.stack.server_pid("nats"), signal.SIGKILL)

    def sent_again() -> str:
        done = CliRunner(env={"DARKROOM_DATA": str(shop.stack.data)}).invoke(command, ["events", "send", "shop.refund"])
        assert done.exit_code in (0, 1), done.output
        return done.stdout.strip()

    after = eventually(sent_again, within_s=30, what="the Broker takes events again")
    assert _way(shop.settled(after), "refunds")["state"] == "replied"
    assert _way(shop.settled(before), "refunds")["state"] == "replied"


def test_nothing_is_running(tmp_path: Path) -> None:
    for arguments in (("send", "t"), ("show", "x"), ("tail",), ("replay", "x"), ("export", "-")):
        done = CliRunner(env={"DARKROOM_DATA": str(tmp_path)}).invoke(command, ["events", *arguments])
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: nothing is running in "), arguments
