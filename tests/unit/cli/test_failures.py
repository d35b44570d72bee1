"""No command ends in a traceback: one sentence, and an exit code that says what kind of failure it is."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from darkroom.cli.failures import as_exit_code, sentence_of
from darkroom.client import NotAnsweringError
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.errors import SettingsError, describe
from tests.stack import eventually
from tests.unit.cli.conftest import Darkroom

DARKROOM = [sys.executable, "-m", "darkroom.cli"]
KEY_FILE = '{"keys": [{"id": "0123456789ab", "sha256": "%s", "created_at": "2026-01-01T00:00:00Z"}]}' % ("0" * 64)


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (click.ClickException("it \x1b[31m failed\nbadly"), 1, "Error: it \\x1b[31m failed\nbadly"),
        (click.UsageError("no such thing"), 2, "Error: no such thing"),
        (DependencyUnavailableError("jobs", "is down"), 1, "Error: dependency.unavailable: jobs: is down"),
        (NotAnsweringError("nobody there"), 1, "Error: nobody there"),
        (SettingsError("NATS_URL is missing"), 1, "Error: NATS_URL is missing"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1, "Error: /x/y: Permission denied; check who"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "Error: the output could not be written: No space left"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 1, "Error: a file is not UTF-8: byte 0"),
        (RecursionError(), 1, "Error: what was read is nested too deeply"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (KeyError("surprise"), 70, "Error: KeyError: 'surprise' - this is a fault in Darkroom"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert as_exit_code(lambda: _raise(error)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert bool(captured.err) == bool(words)
    assert "Traceback" not in captured.err


def test_a_traceback_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DARKROOM_TRACEBACK", "1")
    assert as_exit_code(lambda: _raise(KeyError("\x1b"))) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_empty_exception_text_is_never_shown() -> None:
    assert describe(TimeoutError()) == "TimeoutError: no answer in time"
    assert describe(ValueError("  ")) == "ValueError: no further details"
    assert describe(OSError("refused")) == "OSError: refused"
    assert sentence_of(OSError()) == "OSError"


def _run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command, "bash", *DARKROOM], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ('"$@" check --rules | head -1; exit ${PIPESTATUS[0]}', {0, 141}, ""),
        ('"$@" check --rules > /dev/full', {1}, "could not be written"),
        ('"$@" check --rules >&-', {0}, ""),
        ('"$@" nosuch 2>&-', {2}, ""),
        ('"$@" keys list --file /dev/null/keys.json < /dev/null', {1}, "Not a directory"),
        ("\"$@\" $'no\\xffsuch'", {2}, "No such command"),
        (
            'PYTHONUTF8=0 PYTHONIOENCODING=ascii "$@" status --data /tmp/caf\u00e9',
            {1},
            "nothing is running",
        ),
        ('DEAD_LETTER_REPLICAS=many "$@" setup', {2}, "many"),
        ("DARKROOM_API_KEY=$'a\\nb' \"$@\" job 0 --url http://127.0.0.1:1", {2}, "DARKROOM_API_KEY"),
    ],
)
def test_odd_streams_and_words_end_in_a_sentence_at_most(command: str, code: set[int], words: str) -> None:
    done = _run(command)
    assert done.returncode in code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def _opened_for_writing(pipe: Path) -> int | None:
    """Return a descriptor as soon as somebody reads the pipe."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_ctrl_c_ends_a_command_with_130_and_without_a_word(tmp_path: Path) -> None:
    pipe = tmp_path / "keys.json"
    os.mkfifo(pipe)
    # It waits for somebody to write its key file.
    with subprocess.Popen(
        [*DARKROOM, "keys", "list", "--file", str(pipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            writer = eventually(lambda: _opened_for_writing(pipe), within_s=30, what="it reads the file")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    os.close(writer)
    assert (process.returncode, out, err.strip()) == (130, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["deadletters", "list", "--nats", "http://x", "--redis", "redis://127.0.0.1:1"],
        ["deadletters", "list", "--nats", "nats://127.0.0.1:1", "--redis", "127.0.0.1"],
        ["jobs", "list", "--nats", "nats://127.0.0.1:1", "--redis", "redis://127.0.0.1:99999"],
        ["job", "x", "--url", "no-url"],
        ["job", "x", "--url", "ftp://127.0.0.1/"],
        ["job", "0", "--url", "http://[::1"],
        ["up", "--nats", "redis://127.0.0.1:1", "--data", "DATA"],
        ["up", "--redis", "nowhere", "--data", "DATA"],
        ["up", "--s3", "s3://bucket", "--data", "DATA"],
        ["up", "--window", "0s"],
        ["up", "--window", "5.9s"],
        ["up", "--window", "2h"],
    ],
)
def test_an_address_or_bound_that_cannot_be_is_refused_before_anything_is_done(
    arguments: list[str], darkroom: Darkroom, tmp_path: Path
) -> None:
    done = darkroom(*(str(tmp_path) if one == "DATA" else one for one in arguments))
    assert done.exit_code == 2
    assert "Error: " in done.stderr


def test_a_password_in_a_refused_address_is_not_shown(darkroom: Darkroom) -> None:
    done = darkroom("jobs", "list", "--nats", "nats://x", "--redis", "http://user:secret@host")
    assert done.exit_code == 2
    assert "secret" not in done.stderr
    assert "host" in done.stderr


def test_servers_that_do_not_answer_are_named(darkroom: Darkroom) -> None:
    servers = ["--redis", "redis://127.0.0.1:1", "--nats", "nats://127.0.0.1:1"]
    for arguments, name in ((["jobs", "list"], "jobs: "), (["deadletters", "list"], "deadletters: ")):
        done = darkroom(*arguments, *servers)
        assert done.exit_code == 1
        assert f"Error: dependency.unavailable: {name}" in done.stderr
        assert not done.stderr.rstrip().endswith(":")


def test_a_data_folder_below_a_file_is_told(darkroom: Darkroom, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for words in ("status", "job 0", "jobs list", "deadletters list", "logs 0", "up", "demo"):
        arguments = words.split()
        done = darkroom(*arguments, "--data", str(file / "data"))
        assert done.exit_code == 1, (arguments, done.output)
        assert str(file) in done.stderr
        assert "nothing is running" in done.stderr or "cannot be made" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_told(darkroom: Darkroom, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = darkroom("up", "--data", str(tmp_path / "data"))
    assert done.exit_code == 1
    assert "--data" in done.stderr


def test_an_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    # As in an installation of the client alone: there is no click.
    program = (
        "import sys; sys.modules['click'] = None; sys.argv = ['darkroom', 'status'];"
        "from darkroom.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "'click'" in done.stderr
    assert "darkroom[local]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_whose_libraries_are_missing_says_so(darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("darkroom.cli.status", "darkroom.cli.admin_client"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    done = darkroom("status")
    assert done.exit_code == 1
    assert "`darkroom status` needs the Python package 'httpx'" in done.stderr
