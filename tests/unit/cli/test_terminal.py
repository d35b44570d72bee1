"""What strangers sent cannot act on the operator's terminal, and nothing is cut."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.cli.commands import command
from darkroom.cli.terminal import format_duration, printable, tell, write, write_json_lines, write_records


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202efdp.exe", "abc\\u202efdp.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\u200bb\ufeffc", "a\\u200bb\\ufeffc"),
        ("one\ntwo\r\tthree\u2028four", "one\\ntwo\\r\\tthree\\u2028four"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_control_and_invisible_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(max_examples=40)
@given(st.text(max_size=20))
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    once = printable(text)
    assert printable(once) == once
    assert not set(once) & {"\n", "\r", "\x1b", "\x9b", "\u202e", "\u2028"}


def test_nothing_in_a_text_is_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[/x] [bold red]b[/] [link=http://evil.example]l[/link] :smiley: {x}"
    write(text)
    tell(text)
    write_records(("what",), [(text,)])
    captured = capsys.readouterr()
    assert captured.out == f"{text}\n{text}\n"
    assert captured.err == f"{text}\n"


def test_without_a_terminal_a_record_is_one_line_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    write_records(("a", "b"), [("x" * 300, "one\ttwo\nthree"), (1, "")])
    assert capsys.readouterr().out == f"{'x' * 300}\tone\\ttwo\\nthree\n1\t\n"


def test_without_records_standard_output_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    write_records(("a",), [], empty="no jobs")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no jobs\n")


def test_json_lines_are_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    write_json_lines([{"text": "\x1b\u202e\x7f\n"}])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == {"text": "\x1b\u202e\x7f\n"}


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_on_a_narrow_terminal_no_cell_is_cut(kind: str) -> None:
    program = (
        "from darkroom.cli.terminal import write_records;"
        "write_records(('job', 'type', 'error'), [('0' * 36, 'resize', 'e' * 90 + '\\x1b[31m')])"
    )
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=slave,
            check=False,
            timeout=60,
            env={**os.environ, "COLUMNS": "40", "TERM": kind},
        )
        shown = os.read(master, 65536).decode()
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 0
    assert "0" * 36 in shown
    assert "e" * 90 + "\\x1b[31m" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.00 s"),
        (0.4211, "0.42 s"),
        (59.4, "59 s"),
        (60, "1 m"),
        (185, "3 m 5 s"),
        (7800, "2 h 10 m"),
        (3600, "1 h"),
        (86400 * 4 + 3 * 3600, "4 d 3 h"),
    ],
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


def test_the_linter_prints_strangers_manifests_as_text(tmp_path: Path) -> None:
    file = tmp_path / "stranger.yaml"
    kind = 'apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: "a\\e[31m\\u202e[/x]"}\nspec: {}\n'
    file.write_text(kind)
    done = CliRunner().invoke(command, ["check", str(file)])
    assert done.exit_code == 1
    assert "a\\x1b[31m\\u202e[/x]" in done.stdout
    assert not set(done.output) & {"\x1b", "\u202e"}
