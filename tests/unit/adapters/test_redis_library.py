"""What importing redis-py imports, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKING = {
    "jobs": "RedisJobStore('redis://127.0.0.1:1').check()",
    "reader": "asyncio.run(RedisJobReader('redis://127.0.0.1:1').get(uuid.uuid4()))",
    "rates": "asyncio.run(RedisRateLimiter('redis://127.0.0.1:1').ask('b', Rate(limit=1, period_s=1)))",
}
PREAMBLE = """
import asyncio, sys, uuid
from darkroom.adapters.jobs.reading import RedisJobReader
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.rates.redis import RedisRateLimiter
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.rates import Rate
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ASKING)
def test_asking_redis_imports_no_opentelemetry(name: str) -> None:
    run(f"""{PREAMBLE}
try:
    {ASKING[name]}
except DependencyUnavailableError:
    pass
else:
    sys.exit("nobody listens there")
assert "redis" in sys.modules
found = [name for name in sys.modules if name.startswith("opentelemetry")]
assert not found, found
""")


def test_what_was_kept_from_it_can_be_imported_afterwards() -> None:
    run("""
from darkroom.adapters import redis_library
redis_library.load()
import opentelemetry.sdk.metrics
import opentelemetry.metrics
""")
