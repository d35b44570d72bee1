"""What single commands promise: key files, ids and their beginnings, formats by name, questions before deletions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.cli import deadletters
from darkroom.cli.api import Api
from darkroom.cli.backends import Backends
from darkroom.cli.deadline import deadline
from darkroom.cli.event_lines import EventLines
from darkroom.cli.extensions import with_format_of
from darkroom.cli.runtime_file import runtime_addresses
from darkroom.local.children.reasons import reason_in
from tests.scripted_http import Reply, scripted_server
from tests.unit.cli.conftest import Darkroom

HOSTILE = "[/x]\x1b[31m\u202e\nforged line"


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_written_to_a_new_file_that_only_its_owner_can_read(darkroom: Darkroom, tmp_path: Path) -> None:
    hashes, out = tmp_path / "new" / "keys.json", tmp_path / "shop.key"
    done = darkroom("keys", "create", "--name", "shop", "--out", str(out), "--file", str(hashes))
    assert done.exit_code == 0
    assert done.stdout == ""
    key = out.read_text().strip()
    assert key.startswith("drk_")
    assert key not in done.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    assert hashes.stat().st_mode & 0o777 == 0o600
    assert hashes.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_file_is_never_overwritten_and_no_hash_of_a_lost_key_is_kept(darkroom: Darkroom, tmp_path: Path) -> None:
    hashes = tmp_path / "keys.json"
    for out, words in ((tmp_path / "there", "exists already"), (tmp_path / "no" / "folder", "No such file")):
        (tmp_path / "there").write_text("precious")
        done = darkroom("keys", "create", "--out", str(out), "--file", str(hashes))
        assert done.exit_code == 1
        assert words in done.stderr
        assert not hashes.exists()
    assert (tmp_path / "there").read_text() == "precious"


def test_a_key_is_revoked_by_the_beginning_of_its_id(darkroom: Darkroom, tmp_path: Path) -> None:
    file = ("--file", str(tmp_path / "keys.json"))
    ids = [json.loads(darkroom("keys", "create", "--json", *file).stdout)["id"] for _ in range(2)]
    assert darkroom("keys", "revoke", "", *file).exit_code == 1
    assert darkroom("keys", "revoke", "zz", *file).exit_code == 1
    beginning = next(ids[0][:n] for n in range(1, 13) if not ids[1].startswith(ids[0][:n]))
    assert darkroom("keys", "revoke", beginning, *file).exit_code == 0
    listed = [json.loads(line) for line in darkroom("keys", "list", "--json", *file).stdout.splitlines()]
    assert [("revoked_at" in key) for key in listed] == [True, False]
    assert [line.split("\t")[0] for line in darkroom("keys", "list", *file).stdout.splitlines()] == ids


# --- ids -------------------------------------------------------------------------------------------------------------


def _page(*ids: str) -> Reply:
    jobs = [{"job_id": one, "status": "queued"} for one in ids]
    return Reply(status=200, body=json.dumps({"jobs": jobs}).encode())


def test_the_beginning_of_an_id_is_enough() -> None:
    ids = ["0123abcd-0000-4000-8000-000000000001", "0199abcd-0000-4000-8000-000000000002"]
    with scripted_server(_page(*ids)) as server, closing(Api(server.url)) as api:
        assert api.full_id("0123") == ids[0]
        assert api.full_id("0199ABCD-0") == ids[1]
        with pytest.raises(click.ClickException) as several:
            api.full_id("01")
        assert all(one in several.value.message for one in ids)
        with pytest.raises(click.ClickException, match="none of the newest"):
            api.full_id("ff")
        asked = len(server.received)
        assert api.full_id(ids[0].upper()) == ids[0]
        for text in ("", "xyz", "../jobs", "0123?x=1"):
            with pytest.raises(click.ClickException, match="not a job id"):
                api.full_id(text)
        assert len(server.received) == asked


def test_the_job_command_takes_a_beginning_and_shows_a_job_of_another_version(darkroom: Darkroom) -> None:
    job_id = str(uuid.uuid4())
    error = {"code": "job.unreadable", "message": HOSTILE, "attempts": 0}
    shown = {"job_id": job_id, "type": "hologram", "status": "unreadable", "error": error}
    with scripted_server(_page(job_id), Reply(status=200, body=json.dumps(shown).encode())) as server:
        done = darkroom("job", job_id[:6], "--url", server.url)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == shown
    assert done.stdout.isascii()


def test_waiting_for_a_job_of_another_version_is_one_sentence(darkroom: Darkroom) -> None:
    error = {"code": "job.unreadable", "message": HOSTILE, "attempts": 0}
    job_id = str(uuid.uuid4())
    shown = {"job_id": job_id, "type": "x", "status": "unreadable", "error": error}
    with scripted_server(Reply(status=200, body=json.dumps(shown).encode())) as server:
        done = darkroom("job", job_id, "--wait", "5", "--url", server.url)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: job {job_id}: [/x]\\x1b[31m\\u202e\\nforged line")


# --- submit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "out", "given", "format"),
    [
        ("a.jpg", "b.png", {}, "png"),
        ("a.jpg", "b.PNG", {"width": "1"}, "png"),
        ("a.jpg", "b.jpeg", {}, None),
        ("a.png", "b", {}, None),
        ("a.png", "b.bin", {"format": "webp"}, "webp"),
        ("a", "b.avif", {}, "avif"),
        ("a.jpg", "b.png", {"format": "keep"}, "keep"),
        ("a.jpg", "b.jpg", {"format": "jpeg"}, "jpeg"),
    ],
)
def test_the_results_name_chooses_its_format(source: str, out: str, given: dict[str, str], format: str | None) -> None:
    assert with_format_of(Path(out), given, source=Path(source)).get("format") == format


def test_a_name_that_contradicts_the_format_is_refused() -> None:
    with pytest.raises(click.UsageError, match=r"--format webp contradicts -o b\.png"):
        with_format_of(Path("b.png"), {"format": "webp"}, source=Path("a.jpg"))


@pytest.mark.parametrize("out", ["no/folder/small.jpg", ".", "picture.jpg/small.jpg"])
def test_where_the_result_cannot_be_saved_is_told_before_the_work(
    out: str, darkroom: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("picture.jpg").write_bytes(b"picture")
    with scripted_server(Reply()) as server:
        done = darkroom("submit", "picture.jpg", "resize", "--width", "1", "-o", out, "--url", server.url)
        assert server.received == []
    assert done.exit_code == 1
    assert "-o" in done.stderr


def test_a_command_gives_up_when_its_time_is_up(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"picture")
    accepted = Reply(status=202, body=b'{"job_id": "j", "status": "queued"}')
    silent = threading.Event()
    began = time.monotonic()
    with scripted_server(accepted, Reply(waits_for=silent)) as server:
        # A process of its own: the request is cut off wherever it is, and its socket ends with the process.
        command = [sys.executable, "-m", "darkroom.cli", "submit", str(picture), "resize", "--width", "1"]
        options = ["--timeout", "1", "--url", server.url]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=20, check=False)
        lasted_s = time.monotonic() - began
        silent.set()
    assert done.returncode == 1
    assert "job j is not done after 1 s; it continues" in done.stderr
    assert "Traceback" not in done.stderr
    assert lasted_s >= 1


def test_a_deadline_that_is_met_leaves_no_alarm_behind() -> None:
    with deadline(30, "too late"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# --- the file of a running stack -------------------------------------------------------------------------------------

WHOLE = {"api": "http://a", "broker": "http://b", "admin": "http://c", "nats": "nats://d"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"addresses": 3}',
        b'{"addresses": {}}',
        json.dumps({"addresses": {**WHOLE, "api": None}}).encode(),
        json.dumps({"addresses": {**WHOLE, "nats": 4222}}).encode(),
        json.dumps({"addresses": {**WHOLE, "admin": "nowhere"}}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_of_a_stack_is_told(content: bytes, darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_bytes(content)
    for words in ("status", "jobs list", "deadletters list", "job 0"):
        done = darkroom(*words.split(), "--data", str(tmp_path))
        assert done.exit_code == 1
        assert str(tmp_path / "runtime.json") in done.stderr
        assert "cannot be used" in done.stderr


def test_the_file_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text(json.dumps({"addresses": {**WHOLE, "console": "http://e", "redis": None}}))
    addresses = runtime_addresses(tmp_path)
    assert (addresses.api, addresses.redis) == ("http://a", None)


# --- logs ------------------------------------------------------------------------------------------------------------


def test_the_lines_about_a_job_come_in_their_order_whoever_wrote_them(darkroom: Darkroom, tmp_path: Path) -> None:
    job_id, logs = str(uuid.uuid4()), tmp_path / "logs"
    logs.mkdir()

    def line(at: str, action: str, **fields: str) -> str:
        return json.dumps({"timestamp": at, "action": action, "level": "info", "job_id": job_id, **fields}) + "\n"

    (logs / "resize.log").write_text(line("3", "job.completed", note=HOSTILE) + f"no JSON {job_id} \x1b[31m\n")
    (logs / "resize.log.1").write_text(line("2", "job.claimed") + "another line\n")
    (logs / "ingest.log").write_bytes(line("1", "job.accepted").encode() + b"\xff\n")

    done = darkroom("logs", job_id, "--data", str(tmp_path))

    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert [row[1] for row in rows] == ["resize", "ingest", "resize", "resize"]
    assert [row[2] for row in rows[1:]] == ["job.accepted", "job.claimed", "job.completed"]
    assert "\x1b" not in done.stdout
    assert "note=[/x]\\x1b[31m\\u202e\\nforged line" in done.stdout
    as_json = [
        json.loads(row) for row in darkroom("logs", job_id, "--json", "--data", str(tmp_path)).stdout.splitlines()
    ]
    assert [row["process"] for row in as_json] == ["resize", "ingest", "resize", "resize"]


# --- dead letters ----------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> MemoryDeadLetters:
    kept = MemoryDeadLetters()

    @contextmanager
    def opened(*_: Any) -> Iterator[Backends]:
        yield Backends(jobs=MemoryJobStore(), letters=kept, emitter=MemoryEmitter())  # type: ignore[arg-type]

    monkeypatch.setattr(deadletters, "open_backends", opened)
    return kept


@pytest.fixture
def keep(letters: MemoryDeadLetters) -> Callable[..., int]:
    def keep(**changes: Any) -> int:
        letter = DeadLetter(**{"reason": "image.crashed", "detail": "d", "event": {"id": HOSTILE}, **changes})
        return letters.keep(letter, key=str(uuid.uuid4()))

    return keep


def test_a_letter_of_a_stranger_is_one_line_without_effect(darkroom: Darkroom, keep: Callable[..., int]) -> None:
    keep(job_id=HOSTILE, reason=HOSTILE, origin=HOSTILE, event={})
    for arguments in (["list"], ["redrive", "--all", "--dry-run"], ["drop", "--all", "--yes"]):
        done = darkroom("deadletters", *arguments)
        assert not set(done.output) & {"\x1b", "\u202e"}
        assert len(done.stdout.splitlines()) == 1
    assert done.exit_code == 0


def test_dropping_all_asks_first(darkroom: Darkroom, keep: Callable[..., int], letters: MemoryDeadLetters) -> None:
    keep()
    keep()
    refused = darkroom("deadletters", "drop", "--all")
    assert refused.exit_code == 1
    assert "2 dead letters" in refused.stderr
    assert "--yes" in refused.stderr
    assert darkroom("deadletters", "drop", "--all", "--dry-run").exit_code == 0
    assert len(letters.list()) == 2
    done = darkroom("deadletters", "drop", "--all", "--yes", "--json")
    assert done.exit_code == 0
    assert [json.loads(line)["number"] for line in done.stdout.splitlines()] == [1, 2]
    assert letters.list() == []


def test_a_letter_is_found_by_the_beginning_of_its_jobs_id(
    darkroom: Darkroom, keep: Callable[..., int], letters: MemoryDeadLetters
) -> None:
    first, second = "aaaa1111-0000-4000-8000-000000000001", "aaaa2222-0000-4000-8000-000000000002"
    for job_id in (first, second):
        keep(job_id=job_id, job_type="resize")
    assert json.loads(darkroom("deadletters", "show", "aaaa2").stdout)["job_id"] == second
    assert json.loads(darkroom("deadletters", "show", "1").stdout)["job_id"] == first
    several = darkroom("deadletters", "show", "aaaa")
    assert several.exit_code == 1
    assert first in several.stderr
    assert second in several.stderr
    assert darkroom("deadletters", "drop", "--job", "aaaa").exit_code == 1
    assert darkroom("deadletters", "drop", "--job", "aaaa2").exit_code == 0
    assert [kept.letter.job_id for kept in letters.list()] == [first]


# --- the runtime's events --------------------------------------------------------------------------------------------

TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "main.py", line 1, in <module>',
    "    import nothing",
    "ModuleNotFoundError: No module named 'nothing'",
    "[ERROR] Worker failed to boot.",
]


def test_a_failed_start_says_why_first_and_shows_its_output_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = EventLines(verbose=False)
    fields = {"service": "resize", "detail": "did not start", "last_lines": [*TRACEBACK, "[/x]\x1b[31m"]}
    lines.show("instance.start_failed", fields)
    first = capsys.readouterr().out.splitlines()
    assert "reason=ModuleNotFoundError: No module named 'nothing'" in first[0]
    assert len(first) == 1 + len(TRACEBACK) + 1
    assert first[-1] == "    [/x]\\x1b[31m"

    lines.show("instance.start_failed", fields)
    again = capsys.readouterr().out.splitlines()
    assert "reason=ModuleNotFoundError" in again[0]
    assert again[1:] == ["    the output is the same as before"]


def test_without_an_exception_the_last_line_is_the_reason() -> None:
    assert reason_in(["starting", "port taken", ""]) == "port taken"
    assert reason_in([]) == ""


# --- up --------------------------------------------------------------------------------------------------------------


def test_manifests_are_read_from_standard_input(darkroom: Darkroom, tmp_path: Path) -> None:
    done = darkroom("up", "--free-ports", "--manifests", "-", "--data", str(tmp_path / "data"), input="- no manifest\n")
    assert done.exit_code == 1
    assert (tmp_path / "data" / "stdin.yaml").read_text() == "- no manifest\n"
    assert "stdin.yaml:1" in done.stderr


def test_a_file_that_holds_no_keys_is_told_before_anything_starts(darkroom: Darkroom, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    done = darkroom("up", "--api-keys", str(tmp_path / "keys.json"), "--data", str(tmp_path / "data"))
    assert done.exit_code == 1
    assert "--api-keys" in done.stderr
    assert not (tmp_path / "data").exists()
