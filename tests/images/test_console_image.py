"""The console's image, which is a program of the library and no function: what it holds, and that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.images.test_images import ENVIRONMENT, ROOT
from tests.servers import LOOPBACK, Server, accepts, free_port, running

NAME = "job-console"
MAX_MB = 100
NOT_IN_IT = ("local", "check", "manifests", "imaging", "diagnosis", "job_diagnosis", "pipeline.py", "cli")


@pytest.mark.slow
def test_the_consoles_image_starts_and_lets_nobody_in_without_a_key(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    command = [str(ROOT / "images" / "install.sh"), NAME, str(image), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    library = image / "packages" / "darkroom"
    assert [name for name in NOT_IN_IT if (library / name).exists()] == []
    assert sum(file.stat().st_size for file in image.rglob("*") if file.is_file()) / 1e6 < MAX_MB

    keys, port = tmp_path / "keys.json", free_port()
    keys.write_text('{"keys": []}')
    environment = {**ENVIRONMENT, "CONSOLE_KEYS_FILE": str(keys), "PORT": str(port), "HOME": str(tmp_path)}
    server = Server(
        url=f"http://{LOOPBACK}:{port}",
        command=[sys.executable, "-S", "-m", "darkroom.job_console"],
        folder=tmp_path / "server",
        environment={**environment, "PATH": os.defpath, "PYTHONPATH": f"{image}:{image / 'packages'}"},
        is_ready=lambda: accepts(port),
    )
    with running(server):
        assert httpx.get(f"{server.url}/console/health", timeout=60).text == "ok\n"
        answer = httpx.get(f"{server.url}/console/jobs", timeout=60)
        assert (answer.status_code, "operator's key" in answer.text) == (401, True)


def test_without_a_file_of_keys_the_console_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.job_console"],
        env={**ENVIRONMENT, "PATH": os.defpath},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "not set: CONSOLE_KEYS_FILE" in done.stderr
