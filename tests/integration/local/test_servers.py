from __future__ import annotations

import asyncio
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import boto3
import nats
import psutil
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.local.children import ports, servers, supervision
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.servers import S3Credentials, ServerHome
from darkroom.local.children.supervision import Server, SupervisedServer, SupervisionTimeouts
from darkroom.local.errors import PortTakenError, StartFailedError
from tests.integration.local.waiting import Reports, is_running, until

CREDENTIALS = S3Credentials(access_key="darkroom", secret_key="a-secret-of-this-test")
BUCKET = "pictures"


@pytest.fixture
def home(tmp_path: Path, logs: LogDirectory, reports: Reports) -> ServerHome:
    return ServerHome(data_dir=tmp_path / "data", logs=logs, report=reports)


@asynccontextmanager
async def running(*started: Server) -> AsyncIterator[None]:
    await supervision.start_all(started)
    try:
        yield
    finally:
        await supervision.stop_all(started)


async def kill_and_await_restart(server: SupervisedServer, reports: Reports) -> None:
    pid = server.pid
    assert pid is not None
    psutil.Process(pid).kill()
    await reports.wait_for("server.restarted")
    assert server.pid != pid


def s3_client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=CREDENTIALS.access_key,
        aws_secret_access_key=CREDENTIALS.secret_key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


async def content_of(client: Any, key: str) -> bytes:
    """SeaweedFS is ready a moment before its volumes have registered with its master: until then it answers 5xx."""
    body = b""

    def is_there() -> bool:
        nonlocal body
        try:
            body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except ClientError as exc:
            if exc.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            return False
        return True

    await until(is_there, f"{key} is served again")
    return body


async def http_status(method: str, url: str) -> int:
    async with aiohttp.ClientSession() as session, session.request(method, url, data=b"x") as answer:
        return answer.status


async def test_nats_keeps_its_stream_and_its_port_when_it_is_killed(home: ServerHome, reports: Reports) -> None:
    server = servers.nats_server(home)
    async with running(server):
        client = await nats.connect(server.url, allow_reconnect=False)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
        await client.jetstream().publish("kept", b"a message")
        assert client.max_payload == 1024 * 1024
        await client.close()

        await kill_and_await_restart(server, reports)

        client = await nats.connect(server.url, allow_reconnect=False)
        message = await client.jetstream().get_last_msg("KEPT", "kept")
        await client.close()
        assert message.data == b"a message"


async def test_a_nats_that_is_stuck_after_a_full_disk_is_started_again(
    tmp_path: Path, logs: LogDirectory, reports: Reports
) -> None:
    """Files that may not grow are a disk that is full. With room again it still refuses to write until it is restarted:
    this fails without the question for its own health."""
    timeouts = SupervisionTimeouts(check_every_s=0.1, unhealthy_after_s=0.1, hung_after_s=0.5)
    home = ServerHome(data_dir=tmp_path / "data", logs=logs, report=reports, timeouts=timeouts)
    server = servers.nats_server(home)
    async with running(server):
        client = await nats.connect(server.url, allow_reconnect=False)
        jetstream = client.jetstream(timeout=0.3)
        await jetstream.add_stream(name="KEPT", subjects=["kept"])
        await jetstream.publish("kept", b"before")
        pid = server.pid
        assert pid is not None
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with pytest.raises(nats.errors.TimeoutError):
            await jetstream.publish("kept", b"while it is full")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        await client.close()

        await reports.wait_for("server.restarted")

        client = await nats.connect(server.url, allow_reconnect=False)
        await client.jetstream().publish("kept", b"afterwards")
        assert (await client.jetstream().stream_info("KEPT")).state.messages >= 2
        await client.close()


async def test_redis_keeps_what_was_written_when_it_is_killed(home: ServerHome, reports: Reports) -> None:
    server = servers.redis_server(home)
    async with running(server):
        client = redis.Redis.from_url(server.url)
        client.set("kept", "a value")
        settings = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "save")
        assert settings == {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        client.close()

        await kill_and_await_restart(server, reports)

        client = redis.Redis.from_url(server.url)
        assert client.get("kept") == b"a value"
        client.close()


async def test_s3_takes_signed_requests_only_and_keeps_objects_when_it_is_killed(
    home: ServerHome, reports: Reports
) -> None:
    server = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    async with running(server):
        client = s3_client(server.url)
        client.put_object(Bucket=BUCKET, Key="kept", Body=b"a picture")
        signed = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "kept"}, ExpiresIn=60)
        plain = f"{server.url}/{BUCKET}/kept"
        assert await http_status("GET", signed) == 200
        assert await http_status("GET", signed[:-1] + ("0" if signed[-1] != "0" else "1")) == 403
        assert await http_status("GET", plain) == 403
        assert await http_status("PUT", plain) == 403
        assert await http_status("GET", server.url) == 403

        await kill_and_await_restart(server, reports)

        assert await content_of(client, "kept") == b"a picture"


async def test_s3_data_is_found_again_by_the_next_run_on_other_ports(home: ServerHome) -> None:
    first = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    async with running(first):
        s3_client(first.url).put_object(Bucket=BUCKET, Key="kept", Body=b"a picture")

    second = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    async with running(second):
        assert second.url != first.url
        assert await content_of(s3_client(second.url), "kept") == b"a picture"


async def test_every_port_of_the_s3_server_is_on_loopback_and_was_chosen_by_us(home: ServerHome) -> None:
    server = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    chosen = {(ports.LOOPBACK, port) for port in server.plan.ports}
    async with running(server):
        # It serves before its last port is open.
        await until(lambda: listening(server) == chosen, f"{listening(server)} become {chosen}")


def has_listener(server: SupervisedServer, port: int) -> bool:
    return any(listener[1] == port for listener in listening(server))


def listening(server: SupervisedServer) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(server.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    }


async def test_servers_start_together_and_none_is_left_after_stop(home: ServerHome, reports: Reports) -> None:
    started = [servers.nats_server(home), servers.redis_server(home)]
    async with running(*started):
        pids = [server.pid for server in started if server.pid]
        assert len(pids) == 2
        assert {fields["server"] for fields in reports.of("server.started")} == {"nats", "redis"}

    assert not any(map(is_running, pids))
    assert reports.of("server.died") == []


async def test_when_one_server_cannot_start_the_others_are_stopped(home: ServerHome, reports: Reports) -> None:
    redis_of_ours = servers.redis_server(home)
    async with running(redis_of_ours):
        port = redis_of_ours.plan.ports[0]
        another = servers.nats_server(home)

        with pytest.raises(PortTakenError, match=rf"port {port} is taken by valkey-server \(pid {redis_of_ours.pid}\)"):
            await supervision.start_all([another, servers.redis_server(home, port=port)])

        assert another.pid is None


async def test_a_server_that_ends_before_it_is_ready_gives_its_last_words(home: ServerHome) -> None:
    server = servers.nats_server(home)
    server.plan.before_start()
    (home.folder("nats") / "jetstream").write_text("a file where a folder should be")

    with pytest.raises(StartFailedError, match="storage directory is not a directory"):
        await server.start()

    assert server.pid is None


async def test_a_server_that_hangs_is_killed_and_started_again(tmp_path: Path, logs: LogDirectory) -> None:
    reports = Reports()
    timeouts = SupervisionTimeouts(check_every_s=0.05, unhealthy_after_s=0.1, hung_after_s=0.2, check_timeout_s=0.2)
    home = ServerHome(data_dir=tmp_path / "data", logs=logs, report=reports, timeouts=timeouts)
    server = servers.redis_server(home)
    async with running(server):
        hung = server.pid
        assert hung is not None
        psutil.Process(hung).send_signal(signal.SIGSTOP)

        await reports.wait_for("server.restarted")

        assert [fields["pid"] for fields in reports.of("server.hung")] == [hung]
        await server.check()


async def test_a_server_that_keeps_dying_is_started_again_each_time_with_growing_pauses(
    home: ServerHome, reports: Reports
) -> None:
    server = servers.redis_server(home)
    async with running(server):
        for count in range(1, 4):
            pid = server.pid
            assert pid is not None
            psutil.Process(pid).kill()
            await reports.wait_for("server.restarted", count=count)
            await until(lambda: server.pid is not None, "it is up")

    assert [fields["restart_in_s"] for fields in reports.of("server.died")] == [0.1, 0.2, 0.4]
    assert [fields["returncode"] for fields in reports.of("server.died")] == [-signal.SIGKILL] * 3


async def test_stopping_in_the_middle_of_a_restart_leaves_nothing_behind(home: ServerHome, reports: Reports) -> None:
    server = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    await server.start()
    assert server.pid is not None
    psutil.Process(server.pid).kill()
    await reports.wait_for("server.died")
    await asyncio.sleep(0.2)  # somewhere within the half second that its start takes; any moment must do

    await server.stop()

    assert ports.port_holder(server.plan.ports[0]) is None
    assert reports.of("server.restarted") == []


async def test_an_external_server_is_found_and_never_stopped(home: ServerHome, reports: Reports) -> None:
    ours = [servers.nats_server(home), servers.redis_server(home)]
    async with running(*ours):
        external = [servers.external_nats(ours[0].url, reports), servers.external_redis(ours[1].url, reports)]
        await supervision.start_all(external)
        await supervision.stop_all(external)
        await ours[0].check()
        await ours[1].check()

    with pytest.raises(DependencyUnavailableError, match="nats"):
        await external[0].start()


async def test_an_external_redis_that_wants_a_password_is_asked_with_it(home: ServerHome, reports: Reports) -> None:
    server = servers.redis_server(home)
    async with running(server):
        client = redis.Redis.from_url(server.url)
        client.config_set("requirepass", "wanted")
        client.close()

        await servers.external_redis(server.url.replace("//", "//:wanted@"), reports).check()
        with pytest.raises(DependencyUnavailableError, match="NOAUTH"):
            await servers.external_redis(server.url, reports).check()
        with pytest.raises(DependencyUnavailableError, match="WRONGPASS"):
            await servers.external_redis(server.url.replace("//", "//:wrong@"), reports).check()


IMPATIENT = SupervisionTimeouts(check_every_s=0.05, unhealthy_after_s=0.1, hung_after_s=0.3, check_timeout_s=0.2)


async def test_a_want_of_descriptors_of_our_own_is_not_taken_for_a_dead_server(
    tmp_path: Path, logs: LogDirectory, reports: Reports
) -> None:
    home = ServerHome(data_dir=tmp_path, logs=logs, report=reports, timeouts=IMPATIENT)
    server = servers.redis_server(home)
    async with running(server):
        pid = server.pid
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            # No descriptor above those in use: a probe gets none.
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            unknown = await reports.wait_for("server.unknown")
            await asyncio.sleep(1.0)  # three times as long as a server may hang
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert "Too many open files" in unknown["detail"]
        await reports.wait_for("server.recovered")
        assert server.pid == pid
        assert reports.of("server.hung") == []
        assert len(reports.of("server.unknown")) == 1, "said once, however long it lasts"


async def test_a_want_of_processor_time_of_our_own_is_not_taken_for_a_dead_server(
    tmp_path: Path, logs: LogDirectory, reports: Reports
) -> None:
    home = ServerHome(data_dir=tmp_path, logs=logs, report=reports, timeouts=IMPATIENT)
    server = servers.redis_server(home)
    async with running(server):
        pid = server.pid
        for _ in range(8):
            time.sleep(0.3)  # noqa: ASYNC251 - the event loop stands still, as on a machine that is overloaded
            await asyncio.sleep(0.01)
        assert server.pid == pid
        assert reports.of("server.hung") == []


async def test_a_server_that_says_why_it_cannot_serve_does_not_hang(
    tmp_path: Path, logs: LogDirectory, reports: Reports
) -> None:
    home = ServerHome(data_dir=tmp_path, logs=logs, report=reports, timeouts=IMPATIENT)
    server = servers.redis_server(home)
    async with running(server):
        pid = server.pid
        client = redis.Redis.from_url(server.url)
        client.config_set("lua-time-limit", 1)
        client.config_set("busy-reply-threshold", 1)
        busy = asyncio.create_task(asyncio.to_thread(_keep_busy, server.url))
        unknown = await reports.wait_for("server.unknown")
        assert "BUSY" in unknown["detail"]
        await busy
        await reports.wait_for("server.recovered")
        assert server.pid == pid
        client.close()


def _keep_busy(url: str) -> None:
    script = "local t = redis.call('TIME') repeat local n = redis.call('TIME') until n[1] - t[1] >= 2 return 1"
    with redis.Redis.from_url(url, socket_timeout=20) as client:
        client.eval(script, 0)


def flag(server: SupervisedServer, name: str) -> int:
    return next(int(word.partition("=")[2]) for word in server.plan.command.argv if word.startswith(f"-{name}="))


def speaks_plain_grpc(port: int) -> bool:
    """Whether the port answers HTTP/2's preface with settings, as a gRPC server without TLS does."""
    with socket.create_connection((ports.LOOPBACK, port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        try:
            answer = connection.recv(9)
        except ConnectionResetError:
            return False
    return len(answer) > 3 and answer[3] == 4


async def test_no_side_door_of_the_s3_server_reads_or_writes_without_a_signature(
    home: ServerHome, reports: Reports
) -> None:
    server = servers.s3_server(home, credentials=CREDENTIALS, bucket=BUCKET)
    async with running(server):
        client = s3_client(server.url)
        await until(lambda: is_stored(client, "picture", b"private" * 5000), "a picture is stored")
        for part in ("filer", "volume", "master", "admin"):
            port = flag(server, f"{part}.port")
            # The parts come up one after the other; the S3 server answers before the last.
            await until(partial(has_listener, server, port), f"{part} listens")
            url = f"http://127.0.0.1:{port}"
            for path in (f"/buckets/{BUCKET}/picture", f"/buckets/{BUCKET}/", "/1,01", "/dir/assign", "/dir/status"):
                for method in ("GET", "PUT", "POST", "DELETE"):
                    assert await http_status(method, url + path) in {400, 401, 403, 404, 405}, (method, part, path)
        parts = ("filer", "volume", "master", "s3")
        grpc = {part: speaks_plain_grpc(flag(server, f"{part}.port.grpc")) for part in parts}
        assert set(grpc.values()) == {False}, grpc
        assert reports.of("s3.grpc_open") == []
        assert await content_of(client, "picture") == b"private" * 5000


def is_stored(client: Any, key: str, body: bytes) -> bool:
    try:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    except ClientError as exc:
        if exc.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise
        return False
    return True


async def test_servers_with_a_password_ask_for_it_and_show_it_in_no_command_line(home: ServerHome) -> None:
    nats_one = servers.nats_server(home, password="pass-word")
    redis_one = servers.redis_server(home, password="pass-word")
    async with running(nats_one, redis_one):
        for server in (nats_one, redis_one):
            assert server.pid is not None
            assert "pass-word" not in " ".join(psutil.Process(server.pid).cmdline())
        with redis.Redis.from_url(redis_one.url) as client:
            client.set("key", "value")
        with (
            redis.Redis.from_url(redis_one.url.replace(":pass-word@", "")) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.get("key")
        connection = await nats.connect(nats_one.url, allow_reconnect=False)
        await connection.close()
        assert b"Authorization Violation" in answer_to_a_stranger(nats_one.url)


def answer_to_a_stranger(url: str) -> bytes:
    """What a NATS server says to a client without a password, after its greeting."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"CONNECT {}\r\nPING\r\n")
        said = b""
        while b"ERR" not in said and b"PONG" not in said:
            chunk = connection.recv(4096)
            if not chunk:
                break
            said += chunk
        return said


async def test_what_servers_write_is_for_its_owner_only(home: ServerHome) -> None:
    started = [servers.nats_server(home), servers.redis_server(home)]
    async with running(*started):
        with redis.Redis.from_url(started[1].url) as client:
            client.set("key", "value")
        found = [path for name in ("nats", "redis") for path in (home.data_dir / name).rglob("*") if path.is_file()]
        assert found
        assert {path.name: oct(path.stat().st_mode & 0o077) for path in found} == {path.name: "0o0" for path in found}


@pytest.mark.parametrize("tear", ["zeros", "garbage", "half a command"])
async def test_a_torn_append_only_file_is_mended_with_a_copy_kept_and_a_word_about_it(
    home: ServerHome, reports: Reports, tear: str
) -> None:
    server = servers.redis_server(home)
    async with running(server):
        with redis.Redis.from_url(server.url) as client:
            for number in range(20):
                client.set(f"key{number}", "value")
    [file] = (home.data_dir / "redis" / "appendonlydir").glob("*.incr.aof")
    whole = file.read_bytes()
    torn = {"zeros": whole + bytes(4096), "garbage": whole + b"\xff*nonsense\r\n", "half a command": whole[:-7]}[tear]
    file.write_bytes(torn)

    again = servers.redis_server(home)
    async with running(again):
        with redis.Redis.from_url(again.url) as client:
            assert client.dbsize() == (19 if tear == "half a command" else 20)
            client.set("afterwards", "value")

    [said] = reports.of("redis.file_mended")
    assert await asyncio.to_thread(Path(said["copy"]).read_bytes) == torn
    assert said["cut_bytes"] == len(torn) - said["kept_bytes"] > 0


async def test_a_whole_append_only_file_is_left_alone(home: ServerHome, reports: Reports) -> None:
    for _ in range(2):
        server = servers.redis_server(home)
        async with running(server):
            with redis.Redis.from_url(server.url) as client:
                client.incr("starts")
                starts = client.get("starts")
    assert starts == b"2"
    assert reports.of("redis.file_mended") == []
