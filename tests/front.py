"""One function process for tests, without the local runtime before it: what its own server answers is what is seen."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.servers import LOOPBACK, S3_ACCESS_KEY, S3_SECRET_KEY, Server, free_port

ROOT = Path(__file__).parent.parent
BUCKET = "processed-images"


def function_server(name: str, folder: Path, *, redis_url: str, s3_url: str, **variables: str) -> Server:
    """ingest or status, not started yet. Its log is `server.log` in the folder."""
    port = free_port()
    environment = {
        "PORT": str(port),
        "HOST": LOOPBACK,
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": str(ROOT / f"functions/{name}/main.py"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "WORKERS": "1",
        "GUNICORN_LOG_LEVEL": "warning",
        "FORWARDED_ALLOW_IPS": "",
        "MALLOC_ARENA_MAX": "2",
        "K_SERVICE": name,
        # Nobody listens: jobs are accepted, and wait in the outbox.
        "K_SINK": "http://127.0.0.1:1/broker",
        "REDIS_URL": redis_url,
        "STORAGE_ENDPOINT": s3_url,
        "STORAGE_ACCESS_KEY": S3_ACCESS_KEY,
        "STORAGE_SECRET_KEY": S3_SECRET_KEY,
        "BUCKET_NAME": BUCKET,
        "API_KEYS": "off",
        "RATE_LIMIT": "off",
        "RATE_LIMIT_READS": "off",
        **variables,
    }
    return Server(
        url=f"http://{LOOPBACK}:{port}",
        command=[sys.executable, "-m", "functions_framework"],
        folder=folder,
        environment=environment,
        is_ready=lambda: _accepts(port),
    )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
