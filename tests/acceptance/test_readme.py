"""The README's commands, run as printed and in order, in a folder that looks like a fresh clone.

Two things differ from a reader's terminal: `darkroom up` listens on free ports, of which curl is told by its own
configuration file and the Python example by replacing the address; and what installs packages is not run here
(`test_wheel.py` installs the wheel).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from darkroom.client import Client
from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from darkroom.manifests.project import read_project
from tests.stack import ROOT, RunningStack, eventually

pytestmark = pytest.mark.timeout(600)
"""One test alone has the whole page before it to follow."""

README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ADDRESS = "http://127.0.0.1:8080"
API_PORT, BROKER_PORT = 8080, 8081

_BLOCK = re.compile(
    r"(?:<!-- (?P<kind>\w+): (?P<name>[\w-]+) -->\n)?^```(?P<language>sh|console|python)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_NOT_OF_A_CLONE = {"build", "demo-output", "dist", "gallery", "load-report"}


@dataclass(frozen=True, kw_only=True)
class Block:
    kind: str
    name: str
    language: str
    text: str

    @property
    def commands(self) -> str:
        """What a reader would type."""
        if self.language != "console":
            return self.text
        return "\n".join(line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ "))


BLOCKS = [
    Block(kind=match["kind"] or "", name=match["name"] or "", language=match["language"], text=match["text"])
    for match in _BLOCK.finditer(README)
]
EXAMPLES = [block for block in BLOCKS if block.kind == "example"]
INSTALL = {block.name: block.commands for block in BLOCKS if block.kind == "install"}

ACCEPTED_PX = {
    "multipart": (400, 300),
    "raw": (400, 300),
    "storage-key": (400, 300),
    "event-binary": (200, 150),
    "event-structured": (200, 200),
}
HAS_ITS_OWN_TEST = {
    "demo",
    "up",
    "submit",
    "wait",
    "python",
    "kill",
    "unusable-event",
    "dead-letters",
    "keys",
    "up-with-keys",
    "request-with-key",
    "check",
}


class Reader:
    """Follows the README from the top, in one folder and with the variables that its commands set."""

    def __init__(self, clone: Path, home: Path) -> None:
        self.clone = clone
        self._home = home
        self._outputs: dict[str, str] = {}
        self._stack: RunningStack | None = None

    @property
    def stack(self) -> RunningStack:
        assert self._stack is not None, "the README has not started the pipeline yet"
        return self._stack

    def output(self, name: str) -> str:
        """What the example printed; those before it are run first, each once."""
        for block in EXAMPLES:
            if block.name not in self._outputs:
                self._outputs[block.name] = self._follow(block)
            if block.name == name:
                break
        return self._outputs[name]

    def run(self, commands: str) -> str:
        """Like a reader's terminal: what one block sets, the next one has."""
        variables = self._home / "variables"
        variables.touch()
        keep = f'for NAME in $(compgen -v | grep -E "^[a-z][a-z_]*$" || :); do declare -p "$NAME"; done > {variables}'
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"source {variables}\n{commands}\n{keep}"],
            cwd=self.clone,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, f"{commands}\nexited with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def stop(self) -> None:
        if self._stack is not None:
            self._stack.stop()

    def _follow(self, block: Block) -> str:
        if block.language == "python":
            return self._run_program(block.text)
        if block.name in {"up", "up-with-keys"}:
            self._start(block.commands)
            return ""
        return self.run(block.commands)

    def _run_program(self, program: str) -> str:
        assert ADDRESS in program
        program = program.replace(ADDRESS, self.stack.addresses["api"])
        return self.run(f".venv/bin/python -c {shlex.quote(program)}")

    def _start(self, command: str) -> None:
        """A `darkroom up`, after the Ctrl-C that the README asks for where one runs already."""
        self.stop()
        program, _, options = command.partition(" up")
        assert program in {"make", ".venv/bin/darkroom"}
        self._stack = RunningStack(
            data=self.clone / ".darkroom", options=tuple(shlex.split(options)), cwd=self.clone, verbose=False
        )
        self._stack.start()
        ports = {API_PORT: self._stack.addresses["api"], BROKER_PORT: self._stack.addresses["broker"]}
        lines = (
            f'connect-to = "127.0.0.1:{port}:127.0.0.1:{urlsplit(address).port}"\n' for port, address in ports.items()
        )
        (self._home / ".curlrc").write_text("".join(lines))

    def _environment(self) -> dict[str, str]:
        """Ours, less what the make that runs these tests has put there."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return {**inherited, "CURL_HOME": str(self._home), "HOME": str(self._home)}


def _make_clone(folder: Path) -> None:
    """The project's files, and a finished `make setup`."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in _NOT_OF_A_CLONE:
            (folder / entry.name).symlink_to(entry)
    venv = folder / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith("."):
            (venv / entry.name).symlink_to(entry)
    (venv / ".installed").touch()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    clone = tmp_path_factory.mktemp("clone")
    _make_clone(clone)
    reader = Reader(clone, tmp_path_factory.mktemp("home"))
    try:
        yield reader
    finally:
        reader.stop()


def _size_px(file: Path) -> tuple[int, int]:
    facts = probe(file.read_bytes(), Limits())
    return facts.width, facts.height


def test_every_command_in_the_readme_is_run_or_is_an_installation() -> None:
    kinds = {block.kind for block in BLOCKS}
    assert kinds == {"example", "install", "elsewhere"}, "a block without a marker is run by no test"
    names = [block.name for block in EXAMPLES]
    assert len(names) == len(set(names))
    assert set(names) == HAS_ITS_OWN_TEST | set(ACCEPTED_PX)


def test_what_is_run_elsewhere_is_on_the_page_that_the_readme_names() -> None:
    [elsewhere] = [block for block in BLOCKS if block.kind == "elsewhere"]
    page = "docs/first-function.md"
    assert f"({page})" in README
    # tests/acceptance/test_first_function.py types them.
    typed = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("$ ")]
    assert [line for line in elsewhere.text.splitlines() if line not in typed] == []


def test_the_demo_leaves_its_pictures_behind(reader: Reader) -> None:
    reader.output("demo")
    for name, size_px in {"original": (4000, 3000), "resize": (1200, 900), "crop": (1600, 1200)}.items():
        assert f"`demo-output/{name}.jpg`" in README
        assert _size_px(reader.clone / "demo-output" / f"{name}.jpg") == size_px


def test_make_up_is_darkroom_up(reader: Reader) -> None:
    assert [block.commands for block in EXAMPLES if block.name == "up"] == ["make up"]
    assert reader.run("make --dry-run up").strip() == ".venv/bin/darkroom up"


def test_submit_saves_a_picture_and_status_shows_what_ran(reader: Reader) -> None:
    shown = reader.output("submit")
    assert _size_px(reader.clone / "demo-output/small.jpg") == (400, 300)
    for word in ("resize", "recovery", "nats", "jobs"):
        assert word in shown
    # The last command lists the job; without a terminal it is one line, which begins with its id.
    [listed] = [line for line in shown.splitlines() if line.count("\t") == 6 and "completed" in line]
    assert str(UUID(listed.split("\t")[0])) in listed


@pytest.mark.parametrize("name", list(ACCEPTED_PX))
def test_a_request_over_http_ends_in_a_picture(name: str, reader: Reader) -> None:
    answer = json.loads(reader.output(name).replace("}{", "}\n{").splitlines()[-1])
    job = reader.stack.completed(answer["job_id"])
    facts = probe(reader.stack.download(job), Limits())
    assert (facts.width, facts.height) == ACCEPTED_PX[name]


def test_waiting_for_a_job_shows_its_end(reader: Reader) -> None:
    assert json.loads(reader.output("wait"))["status"] == "completed"


def test_the_python_example_saves_a_picture(reader: Reader) -> None:
    reader.output("event-structured")
    (reader.clone / "demo-output/small.jpg").unlink()
    reader.output("python")
    assert _size_px(reader.clone / "demo-output/small.jpg") == (400, 300)


def test_a_job_survives_that_nats_is_killed(reader: Reader) -> None:
    reader.output("kill")
    assert _size_px(reader.clone / "demo-output/survived.jpg") == (1200, 900)
    eventually(lambda: _server(reader.stack, "nats")["restarts"] == 1, within_s=30, what="nats-server is started again")


def _server(stack: RunningStack, name: str) -> dict[str, Any]:
    servers: dict[str, dict[str, Any]] = {server["name"]: server for server in stack.status()["servers"]}
    return servers[name]


def test_an_event_that_nobody_can_handle_becomes_a_dead_letter_and_can_be_dropped(reader: Reader) -> None:
    reader.output("unusable-event")
    listing = ".venv/bin/darkroom deadletters list --json"
    eventually(lambda: reader.run(listing).strip(), within_s=60, what="the dead letter is listed")
    shown = reader.output("dead-letters")
    assert "order-3" in shown
    assert "dropped order-3" in shown
    assert reader.run(listing).strip() == ""


def test_with_a_key_a_request_is_accepted_and_without_one_it_is_refused(reader: Reader) -> None:
    answer = json.loads(reader.output("request-with-key"))
    key = (reader.clone / "shop.key").read_text().strip()
    assert (reader.clone / "shop.key").stat().st_mode & 0o777 == 0o600
    # The file that `darkroom up --api-keys` reads holds a hash only.
    assert key
    assert key not in (reader.clone / ".darkroom" / "keys.json").read_text()
    with Client(reader.stack.addresses["api"], api_key=key) as client:
        assert client.end_of(answer["job_id"], timeout_s=60).status == "completed"
    assert reader.stack.post("resize", b"", width=400).status_code == 401


def test_the_manifests_pass_the_check(reader: Reader) -> None:
    # Findings would be printed, and would fail the command.
    assert reader.output("check") == ""


def test_the_project_file_is_one_that_darkroom_up_reads(tmp_path: Path) -> None:
    [text] = re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "darkroom.toml").write_text(text)
    project = read_project(tmp_path)
    assert project.manifests == (tmp_path / "deploy",)
    assert project.resources.redis is not None
    assert project.resources.redis.variables(url="redis://there") == {"ORDERS_URL": "redis://there"}
    assert project.resources.s3 is None


def test_what_the_readme_installs_is_what_a_wheel_of_this_version_offers() -> None:
    assert set(INSTALL) == {"checkout", "wheel", "client"}
    wheels = re.findall(r"darkroom-([\d.]+)-py3-none-any\.whl\[(\w+)\]", README)
    assert {version for version, _ in wheels} == {PYPROJECT["version"]}
    extras = {extra for _, extra in wheels} | set(re.findall(r"'\.\[(\w+)\]'", README))
    assert extras == {"local", "client"} & set(PYPROJECT["optional-dependencies"])
