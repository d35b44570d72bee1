"""The README's examples, run exactly as printed: curl itself is told that port 8080 lies elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from tests.stack import ROOT, RunningStack

README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8080"
_EXAMPLE = re.compile(r"<!-- example: (?P<name>[\w-]+) -->\n```sh\n(?P<script>.*?)```", re.DOTALL)
EXAMPLES = {match["name"]: match["script"] for match in _EXAMPLE.finditer(README)}

EXPECTED_PX = {
    "multipart": (400, 300),
    "raw": (400, 300),
    "storage-key": (400, 300),
    "event-binary": (200, 150),
    "event-structured": (200, 200),
}


def test_every_example_has_its_expectation() -> None:
    assert set(EXAMPLES) == set(EXPECTED_PX)


@pytest.mark.parametrize("name", list(EXPECTED_PX))
def test_an_example_ends_in_a_picture(name: str, stack: RunningStack, photograph: bytes, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(photograph)
    port = urlsplit(stack.addresses["api"]).port
    (tmp_path / ".curlrc").write_text(f'connect-to = "127.0.0.1:8080:127.0.0.1:{port}"\n')
    script = EXAMPLES[name]
    if "$key" in script and "key=" not in script:
        # The README's "as above".
        script = EXAMPLES["storage-key"] + script
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "CURL_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer = json.loads(ran.stdout.replace("}{", "}\n{").splitlines()[-1])
    job = stack.completed(answer["job_id"])
    facts = probe(stack.download(job), Limits())
    assert (facts.width, facts.height) == EXPECTED_PX[name]


def test_the_python_example_saves_a_picture(stack: RunningStack, photograph: bytes, tmp_path: Path) -> None:
    """Exactly as printed but for the address."""
    [program] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert ADDRESS in program
    (tmp_path / "cat.jpg").write_bytes(photograph)
    program = program.replace(ADDRESS, stack.addresses["api"])
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=True)
    facts = probe((tmp_path / "small.jpg").read_bytes(), Limits())
    assert facts.width == 400


def test_the_wait_example_shows_the_job(stack: RunningStack, photograph: bytes) -> None:
    [command] = re.findall(r'curl -s "\S+/api/v1/jobs/\$job_id\?wait=30"', README)
    job_id = stack.submit("resize", photograph, width=100)
    command = command.replace(ADDRESS, stack.addresses["api"])
    script = f"job_id={job_id}; {command}"
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, timeout=60, check=True)
    assert json.loads(ran.stdout)["status"] == "completed"


def test_the_key_example_makes_a_key_that_the_next_line_would_take(tmp_path: Path) -> None:
    lines = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ .venv/bin/darkroom keys")]
    [create] = lines
    darkroom = Path(sys.executable).with_name("darkroom")
    script = create.replace(".venv/bin/darkroom", str(darkroom))
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, timeout=60, check=True)
    key = (tmp_path / "shop.key").read_text().strip()
    listed = subprocess.run(
        [darkroom, "keys", "list"], cwd=tmp_path, timeout=60, check=True, capture_output=True, text=True
    )
    assert "shop" in listed.stdout
    # The file that `darkroom up --api-keys` is told of, and in it a hash only.
    kept = (tmp_path / ".darkroom" / "keys.json").read_text()
    assert key
    assert key not in kept
    assert f"--api-keys {Path('.darkroom') / 'keys.json'}" in README
