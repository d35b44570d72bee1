"""The README's examples, run exactly as printed: curl itself is told that port 8080 lies elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from tests.stack import ROOT, RunningStack

_EXAMPLE = re.compile(r"<!-- example: (?P<name>[\w-]+) -->\n```sh\n(?P<script>.*?)```", re.DOTALL)
EXAMPLES = {match["name"]: match["script"] for match in _EXAMPLE.finditer((ROOT / "README.md").read_text())}

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
