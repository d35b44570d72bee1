"""The component redis-tls: its arguments on a real Redis with TLS, and REDIS_URLs as the operations guide writes them.

The embedded Valkey is built without TLS; Debian's package redis-server has it, and without that the tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.errors import DependencyUnavailableError
from tests.certificates import Authority, needs_openssl
from tests.manifests.rendering import ROOT, TLS_EVERYWHERE, rendered
from tests.manifests.test_redis_users import password, put_together
from tests.servers import LOOPBACK, Server, free_port, running

CONFIGURATION = ROOT / "knative" / "components" / "redis" / "redis.conf"
SERVER = shutil.which("redis-server")
pytestmark = [
    needs_openssl,
    pytest.mark.skipif(SERVER is None, reason="redis-server is not installed (Debian: apt-get install redis-server)"),
]


def arguments() -> list[str]:
    """Those of the rendered StatefulSet, after the configuration's file."""
    (redis,) = (
        each
        for each in rendered(TLS_EVERYWHERE)
        if (each["kind"], each["metadata"]["name"]) == ("StatefulSet", "redis")
    )
    found: list[str] = redis["spec"]["template"]["spec"]["containers"][0]["args"]
    assert found[:2] == ["valkey-server", "/etc/redis/redis.conf"]
    return found[2:]


def placed(text: str, places: dict[str, str]) -> str:
    for place, here in places.items():
        assert place in text
        text = text.replace(place, here)
    return text


@contextmanager
def redis_with_tls(folder: Path, *hosts: str) -> Iterator[tuple[int, Path]]:
    """Its port and the folder of its certificate."""
    certificates = Authority(folder / "tls").issue("redis", *hosts, address="127.0.0.9")
    acl, done = put_together(folder / "users")
    assert done.returncode == 0, done.stderr
    # Debian's Redis is older than this command, which clients send and nobody misses.
    acl.write_text(acl.read_text().replace("+client|setinfo ", ""))
    port = free_port()
    words = [word.replace("/etc/redis-tls", str(certificates)).replace("6379", str(port)) for word in arguments()]
    (folder / "data").mkdir()
    configuration = folder / "redis.conf"
    places = {"dir /data": f"dir {folder / 'data'}", "/run/redis/users.acl": str(acl)}
    configuration.write_text(placed(CONFIGURATION.read_text(), places))
    server = Server(
        url=f"rediss://localhost:{port}",
        command=[str(SERVER), str(configuration), *words, "--bind", LOOPBACK],
        folder=folder / "data",
        is_ready=lambda: _answers(port, certificates / "ca.crt"),
    )
    with running(server):
        yield port, certificates


def _answers(port: int, authority: Path) -> bool:
    client = Redis(
        port=port,
        username="probe",
        password="none",
        ssl=True,
        ssl_ca_certs=str(authority),
        ssl_check_hostname=False,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False
    finally:
        client.close()


@contextmanager
def status(port: int, authority: Path) -> Iterator[RedisJobStore]:
    url = f"rediss://status:{password('status')}@localhost:{port}/0?ssl_ca_certs={authority}"
    store = RedisJobStore(url, max_attempts=1)
    try:
        yield store
    finally:
        store.close()


def test_a_function_reads_jobs_over_tls_with_the_url_of_the_operations_guide(tmp_path: Path) -> None:
    with (
        redis_with_tls(tmp_path, "localhost") as (port, certificates),
        status(port, certificates / "ca.crt") as store,
    ):
        assert store.list_jobs("key-1", limit=1).records == []


def test_a_server_with_another_name_or_of_another_authority_is_refused(tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").issue("redis", "localhost", address=LOOPBACK)
    with redis_with_tls(tmp_path / "redis", "somebody-else") as (port, certificates):
        for authority in (certificates / "ca.crt", other / "ca.crt"):
            with status(port, authority) as store, pytest.raises(DependencyUnavailableError):
                store.list_jobs("key-1", limit=1)


def test_nothing_is_answered_without_tls(tmp_path: Path) -> None:
    with redis_with_tls(tmp_path, "localhost") as (port, _), pytest.raises(RedisConnectionError):
        Redis(port=port, retry=Retry(NoBackoff(), 0)).ping()
