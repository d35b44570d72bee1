"""`darkroom chaos`: what the command line refuses, and how a fault, a plan and the reckoning are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from darkroom.cli.chaos_report import format_line, write_plan, write_reckoning
from tests.scripted_http import Reply, scripted_server
from tests.unit.cli.conftest import Darkroom


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--fail", "0.1"], "must be a percentage from 0% to 100%, such as 10%, was '0.1'"),
        (["--duplicate", "101%"], "must be a percentage from 0% to 100%"),
        (["--slow", "2s..200ms"], "the first delay is the shorter one"),
        (["--slow", "fast"], "must be a Go duration such as 30s or 1m30s, was 'fast'"),
        (["--for", "0s"], "--for must be longer than 0s"),
        (["--for", "25h"], "must be 0s to 24h, was 25h"),
        (["--rate", "20"], "must be a rate such as 20/s or 90/m"),
        (["--rate", "5000/s"], "at most 1000/s"),
        (["--seed", "-1"], "-1 is not in the range"),
    ],
)
def test_a_wrong_option_is_a_sentence_with_an_example(darkroom: Darkroom, options: list[str], sentence: str) -> None:
    done = darkroom("chaos", *options)
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())


def test_without_a_running_stack_it_says_how_to_start_one(darkroom: Darkroom, tmp_path: Path) -> None:
    done = darkroom("chaos", "--data", str(tmp_path))
    assert done.exit_code == 1
    assert "start it with `darkroom up`" in done.stderr


def running_at(url: str, folder: Path) -> Path:
    addresses = {"api": url, "broker": url, "admin": url, "nats": "nats://127.0.0.1:1"}
    (folder / "runtime.json").write_text(json.dumps({"addresses": addresses}))
    return folder


def test_what_the_runtime_refuses_is_told_in_its_words(darkroom: Darkroom, tmp_path: Path) -> None:
    refusal = json.dumps({"code": "chaos.refused", "detail": "there is no Service 'x'"}).encode()
    with scripted_server(Reply(status=400, body=refusal)) as admin:
        done = darkroom("chaos", "--data", str(running_at(admin.url, tmp_path)))
    assert done.exit_code == 1
    assert "there is no Service 'x'" in done.stderr


def test_something_else_at_its_address_is_a_sentence(darkroom: Darkroom, tmp_path: Path) -> None:
    with scripted_server(Reply(status=200, body=b"<html>")) as admin:
        done = darkroom("chaos", "--data", str(running_at(admin.url, tmp_path)))
    assert done.exit_code == 1
    assert "is it `darkroom up` that listens there?" in done.stderr


def test_data_that_is_no_json_is_refused_before_the_first_fault(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text("{n")
    data = str(running_at("http://127.0.0.1:1", tmp_path))
    done = darkroom(
        "chaos", "--data", data, "--send", "a.b", "--send-data", str(tmp_path / "order.json"), "--broker", "a/b"
    )
    assert done.exit_code == 2
    assert "not JSON" in done.stderr


def test_a_fault_is_one_line_that_says_what_was_done() -> None:
    delivery = {"at_s": 1.5, "kind": "slow request", "target": "confirm", "event": 7, "attempt": 2, "delay_s": 0.25}
    told = "1.50 s slow request confirm event 7, attempt 2: delivered late by 250 ms"
    assert " ".join(format_line(delivery).split()) == told
    missed = {"at_s": 2.0, "kind": "kill", "target": "confirm", "pid": None, "detail": "it has no instance"}
    assert format_line(missed).endswith("nothing happened: it has no instance")


def test_the_plan_names_times_targets_and_the_first_deliveries(capsys: pytest.CaptureFixture[str]) -> None:
    order = {"seed": 7, "lasts_s": 60.0, "slow": None, "fail": 0.1, "duplicate": 0.0, "drop_reply": 0.0}
    pause = {"at_s": 3.25, "kind": "pause", "target": "confirm", "lasts_s": 2.5, "pick": 0.1}
    fault = {"trigger": "place", "event": 4, "kinds": ["fail after"], "delay_s": 0.0}
    targets = {"services": ["confirm"], "triggers": ["place"], "servers": []}
    plan = {"order": order, "targets": targets, "digest": "ab12", "processes": [pause], "deliveries": [fault]}
    write_plan(plan)
    told = capsys.readouterr().out
    for words in ("plan ab12", "3.25 s  pause", "for 2.5 s", "10% fail with 503", "place: event 4 fail after"):
        assert words in told


def test_the_reckoning_names_what_was_lost_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    lost = {
        "trigger": "confirm",
        "number": 3,
        "id": "order-3\x1b",
        "type": "shop.order.placed",
        "attempts": 4,
        "executions": 1,
        "why": "the retries are spent",
    }
    row = {
        "trigger": "confirm",
        "events": 10,
        "attempts": 14,
        "acknowledged": 9,
        "replies": 9,
        "dead_lettered": 0,
        "lost": 1,
        "stuck": 0,
        "again": {"duplicate": 1, "lost answer": 2, "redelivery": 0},
    }
    sums = {
        "faults": {"fail before": 4},
        "accepted": 10,
        "posted": 10,
        "refused_duplicates": 0,
        "left_out": 5,
        "triggers": [row],
        "lost": [lost],
        "lost_count": 1,
        "stuck": [],
        "stuck_count": 0,
        "application": {"jobs": {"queued": 0}},
    }
    write_reckoning({"ended_by": "", "sent": None, "reckoning": sums})
    told = capsys.readouterr().out
    assert "event 3, shop.order.placed order-3\\x1b, 4 attempts: the retries are spent" in told
    assert "spent; the function had done its work\n" in told
    assert "doubled     3: 1 by chaos' duplicates, 2 after an answer that chaos withheld" in told
    assert "5 more not accounted for" in told
    assert "jobs        queued 0" in told
