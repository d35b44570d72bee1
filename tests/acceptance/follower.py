"""Follows a page of docs/ as its reader does: types what it prints, in a terminal, and compares what comes back.

A block of the page is a command line or a file, by the comment before it:

    <!-- type -->             commands, each after `$ `, with what they print below them
    <!-- eventually -->       the same, of commands that print it a little later
    <!-- up -->               `darkroom up`, which runs until the next such block or the page's end
    <!-- file: PATH -->       a file that the reader writes

What is shown has to come in the order in which it is shown; `...` stands for lines that are left out. Ids, times and
ports are compared by their form alone, and the id that a command prints is the one that later commands are given.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.stack import RunningStack

API_PORT, BROKER_PORT = 8080, 8081
LEFT_OUT = "..."
LATER_S = 30.0
_BLOCK = re.compile(
    r"<!-- (?P<kind>type|eventually|up|file)(?:: )?(?P<path>\S*) -->\n```\w+\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_VARYING = (
    (_ID, "ID"),
    (re.compile(r"(?<=events show )[0-9a-f]{8}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]"), ""),
    (re.compile(r"\d\d:\d\d:\d\d(\.\d+)?Z?"), "CLOCK"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:PORT"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|m)\b"), "DURATION"),
    (re.compile(r"\bpid[= ]\d+"), "PID"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, kw_only=True)
class Block:
    kind: str
    path: str
    text: str

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Each command with the lines that are shown below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def blocks_of(page: Path) -> list[Block]:
    return [Block(**found.groupdict()) for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


class Follower:
    """One reader, in a folder of their own. `folder` is empty, and `home` has what is neither the page's nor ours."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self._home = home
        self._stack: RunningStack | None = None
        self._ids: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        if block.kind == "file":
            file = self.folder / block.path
            assert file.parent.is_dir(), f"the page writes {block.path}, whose folder is not there yet"
            file.write_text(block.text)
            return
        for command, shown in block.commands():
            printed = self.up(command) if block.kind == "up" else self.typed(command)
            ends_at = time.monotonic() + (LATER_S if block.kind == "eventually" else 0)
            while (missing := self._missing(shown, printed)) and time.monotonic() < ends_at:
                time.sleep(0.2)
                printed = self.typed(command)
            assert not missing, f"`{command}` does not print (any more)\n  {missing}\nbut\n{printed}"

    def stop(self) -> None:
        if self._stack is not None:
            code, self._stack = self._stack.stop(), None
            assert code == 0

    def kill(self) -> None:
        if self._stack is not None:
            self._stack.kill()

    def up(self, command: str) -> str:
        """Start `darkroom up`, after the Ctrl-C that ends the one before, and return what it has printed by then."""
        program, subcommand, *options = shlex.split(command)
        assert (program, subcommand) == ("darkroom", "up")
        self.stop()
        data = self.folder / ".darkroom"
        (data / "up.log").unlink(missing_ok=True)
        stack = RunningStack(data=data, cwd=self.folder, options=tuple(options), verbose=False)
        self._stack = stack
        stack.start()
        ports = {API_PORT: stack.addresses["api"], BROKER_PORT: stack.addresses["broker"]}
        lines = (f'connect-to = ":{port}:127.0.0.1:{urlsplit(url).port}"\n' for port, url in ports.items())
        (self._home / ".curlrc").write_text("".join(lines))
        return stack.log.read_text()

    def typed(self, command: str) -> str:
        """What a terminal shows."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTEST"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._home),
            "CURL_HOME": str(self._home),
            # No colours and no cursor movements, and no line that is wrapped.
            **{"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"},
        }
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self._with_ids(command)],
            cwd=self.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            shown = b"".join(_read_all(ours))
            os.close(ours)
            code = process.wait(timeout=60)
        text = shown.decode(errors="backslashreplace").replace("\r\n", "\n")
        assert code == 0, f"{command}\nexited with {code}:\n{text}"
        return text

    def _missing(self, shown: list[str], printed: str) -> str:
        """The first shown line that was not printed; empty if they all were. Then the ids in them are known."""
        lines = [line for line in printed.splitlines() if line.strip()]
        ids: dict[str, str] = {}
        place = 0
        for expected in shown:
            if not expected.strip() or expected.strip() == LEFT_OUT:
                continue
            found = next((n for n in range(place, len(lines)) if _form(lines[n]) == _form(expected)), None)
            if found is None:
                return expected
            ids.update(zip(_ID.findall(expected), _ID.findall(lines[found]), strict=True))
            place = found + 1
        self._ids.update(ids)
        return ""

    def _with_ids(self, command: str) -> str:
        """The command with the ids that were printed here in the place of those that the page shows."""
        for shown, printed in self._ids.items():
            command = command.replace(shown, printed).replace(shown[:8], printed[:8])
        return command


def _read_all(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            return  # The last program that had the terminal has ended.
        if not read:
            return
        yield read


def _form(line: str) -> str:
    for pattern, replacement in _VARYING:
        line = pattern.sub(replacement, line)
    return line.strip()
