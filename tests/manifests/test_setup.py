"""`darkroom setup` on real servers, with the definition that is shipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, nats_server, running, s3_server

ROOT = Path(__file__).parents[2]


def run_setup(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "darkroom.cli", "setup", *options],
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_setup_makes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    with running(nats_server(tmp_path / "nats")) as nats_, running(s3_server(tmp_path / "s3")) as s3:
        environment = {
            "NATS_URL": nats_.url,
            "STORAGE_ENDPOINT": s3.url,
            "STORAGE_ACCESS_KEY": S3_ACCESS_KEY,
            "STORAGE_SECRET_KEY": S3_SECRET_KEY,
            "BUCKET_NAME": "pictures",
        }
        first = run_setup(environment)
        assert first.returncode == 0, first.stderr
        letters = JetStreamDeadLetters(nats_.url)
        try:
            sequence = letters.keep(DeadLetter(reason="image.crashed", detail="a test", event={"id": "1"}), key="1")
            second = run_setup(environment)
            assert second.returncode == 0, second.stderr
            assert letters.get(sequence) is not None
        finally:
            letters.close()


def test_setup_names_what_is_not_set() -> None:
    done = run_setup({})
    assert done.returncode == 1
    for name in ("NATS_URL", "STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"):
        assert name in done.stderr


def test_setup_says_which_server_does_not_answer() -> None:
    environment = {
        "NATS_URL": "nats://127.0.0.1:1",
        "STORAGE_ENDPOINT": "http://127.0.0.1:1",
        "STORAGE_ACCESS_KEY": "key",
        "STORAGE_SECRET_KEY": "secret",
    }
    done = run_setup(environment, "--within", "0s")
    assert done.returncode == 1
    assert "bucket processed-images" in done.stderr


def test_the_replicas_of_the_stream_can_be_said(tmp_path: Path) -> None:
    """One server takes the definition as it is, but not three replicas."""
    storage = {"STORAGE_TYPE": "local", "STORAGE_ENDPOINT": str(tmp_path / "pictures")}
    with running(nats_server(tmp_path / "nats")) as server:
        environment = {"NATS_URL": server.url, **storage}
        refused = run_setup({**environment, "DEAD_LETTER_REPLICAS": "3"}, "--within", "0s")
        assert refused.returncode == 1
        assert "dead-letter stream" in refused.stderr
        assert run_setup(environment).returncode == 0
