"""Who may do what in NATS, on real servers with the shipped configuration and TLS."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from tests.manifests.nats_cluster import NatsCluster, connected, nats_cluster

# Elections of the streams' leaders take seconds.
pytestmark = pytest.mark.slow

DEFINITION = json.loads((Path(__file__).parents[2] / "nats-eventing" / "deadletter-stream.json").read_text())
STREAM = "DARKROOM_DEAD_LETTERS"
LED_WITHIN_S = 40.0

EVENTS = "darkroom.darkroom-kne-trigger._knative"
API = "$JS.API"
ALLOWED = {
    "eventing": {
        ("publish", EVENTS),
        ("publish", f"{API}.STREAM.CREATE.KN_DARKROOM__DARKROOM_KNE_TRIGGER"),
        ("publish", f"{API}.STREAM.DELETE.KN_DARKROOM__DARKROOM_KNE_TRIGGER"),
        ("publish", f"{API}.CONSUMER.DURABLE.CREATE.KN_DARKROOM__DARKROOM_KNE_TRIGGER.KN_SUB_1"),
        # Its own account's: the dead letters are in another, whose streams these do not reach.
        ("publish", f"{API}.STREAM.INFO.{STREAM}"),
        ("publish", f"{API}.STREAM.CREATE.{STREAM}"),
        ("publish", f"{API}.STREAM.UPDATE.{STREAM}"),
        ("publish", f"{API}.STREAM.DELETE.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}.darkroom.deadletters.resize"),
        ("publish", f"{API}.CONSUMER.DURABLE.CREATE.{STREAM}.SPY"),
        ("publish", f"{API}.INFO"),
        ("publish", f"{API}.STREAM.NAMES"),
        ("subscribe", "darkroom.darkroom-kne-trigger._knative_consumer.uid"),
    },
    "recovery": {
        ("publish", "darkroom.deadletters.resize"),
        ("publish", f"{API}.STREAM.INFO.{STREAM}"),
        ("publish", f"{API}.STREAM.MSG.DELETE.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}.darkroom.deadletters.resize"),
    },
    "setup": {
        ("publish", f"{API}.STREAM.INFO.{STREAM}"),
        ("publish", f"{API}.STREAM.CREATE.{STREAM}"),
        ("publish", f"{API}.STREAM.UPDATE.{STREAM}"),
    },
    "console": {
        ("publish", f"{API}.STREAM.INFO.{STREAM}"),
        ("publish", f"{API}.STREAM.MSG.DELETE.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}.darkroom.deadletters.resize"),
    },
    "operator": {
        ("publish", f"{API}.STREAM.INFO.{STREAM}"),
        ("publish", f"{API}.STREAM.MSG.GET.{STREAM}"),
        ("publish", f"{API}.STREAM.MSG.DELETE.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}"),
        ("publish", f"{API}.DIRECT.GET.{STREAM}.darkroom.deadletters.resize"),
    },
}
OF_NOBODY = {
    ("publish", f"{API}.STREAM.PURGE.{STREAM}"),
    ("publish", f"{API}.STREAM.SNAPSHOT.{STREAM}"),
    ("publish", "$SYS.REQ.SERVER.PING"),
    ("publish", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.X.Y"),
    ("publish", "anything"),
    ("subscribe", ">"),
    ("subscribe", "$SYS.>"),
    ("subscribe", "$JS.API.>"),
    ("subscribe", "darkroom.deadletters.>"),
    ("subscribe", EVENTS),
}
EVERYTHING = set().union(*ALLOWED.values(), OF_NOBODY)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with nats_cluster(tmp_path_factory.mktemp("nats")) as cluster:
        asyncio.run(_make_dead_letter_stream(cluster))
        yield cluster


async def _make_dead_letter_stream(cluster: NatsCluster) -> None:
    async with connected(cluster, "setup") as setup:
        jetstream = setup.client.jetstream(timeout=5)
        config = StreamConfig.from_response({**DEFINITION, "num_replicas": 3})
        give_up_at = time.monotonic() + LED_WITHIN_S
        while True:
            try:
                await jetstream.add_stream(config)
                return
            except (nats.errors.Error, TimeoutError):
                # Until the servers have elected a leader.
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(0.2)


def letters(cluster: NatsCluster, user: str, folder: Path, **options: Any) -> JetStreamDeadLetters:
    """The adapter as a function has it."""
    return JetStreamDeadLetters(
        by_name(cluster), tls_folder=tls_folder(cluster, user, folder), deadline_s=5, answer_timeout_s=2, **options
    )


def by_name(cluster: NatsCluster) -> str:
    return cluster.urls[1].replace("127.0.0.1", "localhost")


def tls_folder(cluster: NatsCluster, user: str, folder: Path) -> Path:
    """As a Secret is mounted."""
    folder = folder / user
    folder.mkdir()
    for source, target in (("ca.crt", "ca.crt"), (f"{user}.crt", "tls.crt"), (f"{user}.key", "tls.key")):
        (folder / target).write_bytes((cluster.certificates / source).read_bytes())
    return folder


@pytest.mark.parametrize("user", sorted(ALLOWED))
def test_a_user_reaches_its_own_subjects_and_is_refused_every_other(cluster: NatsCluster, user: str) -> None:
    async def try_all() -> set[tuple[str, str]]:
        async with connected(cluster, user) as watched:
            return await watched.allowed(EVERYTHING)

    assert asyncio.run(try_all()) == ALLOWED[user]


def test_eventing_may_all_that_the_dispatcher_does(cluster: NatsCluster) -> None:
    """Make the stream and a push consumer, publish, receive, ack; as eventing-natss does it."""

    async def dispatch() -> bytes:
        async with connected(cluster, "eventing") as watched:
            jetstream = watched.client.jetstream(timeout=10)
            stream, deliver = "KN_DARKROOM__DARKROOM_KNE_TRIGGER", "darkroom.darkroom-kne-trigger._knative_consumer.uid"
            await jetstream.add_stream(
                StreamConfig(name=stream, subjects=[EVENTS], retention=RetentionPolicy.INTEREST, num_replicas=3)
            )
            await jetstream.add_consumer(
                stream,
                ConsumerConfig(
                    durable_name="KN_SUB_UID",
                    deliver_subject=deliver,
                    deliver_group="KN_SUB_UID",
                    deliver_policy=DeliverPolicy.NEW,
                    ack_policy=AckPolicy.EXPLICIT,
                ),
            )
            subscription = await watched.client.subscribe(deliver, queue="KN_SUB_UID")
            await jetstream.publish(EVENTS, b"an event", headers={"Nats-Msg-Id": "1"})
            message = await subscription.next_msg(timeout=10)
            await message.ack_sync(timeout=10)
            assert watched.refusals == []
            return bytes(message.data)

    assert asyncio.run(dispatch()) == b"an event"


def test_letters_are_kept_and_erased_by_recovery_and_dropped_by_a_person(cluster: NatsCluster, tmp_path: Path) -> None:
    setup, recovery, operator = (
        letters(cluster, user, tmp_path, definition=DEFINITION) for user in ("setup", "recovery", "operator")
    )
    try:
        setup.prepare()
        recovery.check()
        sequence = recovery.keep(DeadLetter(reason="image.crashed", detail="a test", event={"id": "1"}), key="a")
        job_id = "7f000000-0000-4000-8000-000000000001"
        recovery.keep(DeadLetter(reason="image.crashed", detail="a test", event={}, job_id=job_id), key="of a job")
        assert recovery.erase([job_id]) == 1
        found = operator.get(sequence)
        assert found is not None
        assert found.letter.reason == "image.crashed"
        assert operator.drop(sequence)
    finally:
        for each in (setup, recovery, operator):
            each.close()


def test_a_person_reads_letters_with_the_command_and_a_certificate(cluster: NatsCluster, tmp_path: Path) -> None:
    recovery = letters(cluster, "recovery", tmp_path)
    try:
        sequence = recovery.keep(DeadLetter(reason="image.crashed", detail="a test", event={"id": "2"}), key="b")
    finally:
        recovery.close()
    environment = {"NATS_TLS_FOLDER": str(tls_folder(cluster, "operator", tmp_path)), "PATH": os.defpath}
    servers = ("--nats", by_name(cluster), "--redis", "redis://127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", "deadletters", "show", str(sequence), *servers],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "image.crashed" in done.stdout


def test_one_account_sees_nothing_of_the_other(cluster: NatsCluster) -> None:
    async def streams() -> list[str]:
        async with connected(cluster, "eventing") as watched:
            answer = await watched.client.request(f"{API}.STREAM.NAMES", b"", timeout=10)
            return list(json.loads(answer.data).get("streams") or [])

    assert STREAM not in asyncio.run(streams())


def test_who_shows_no_certificate_is_not_let_in(cluster: NatsCluster) -> None:
    async def connect() -> None:
        context = ssl.create_default_context(cafile=str(cluster.certificates / "ca.crt"))
        client = await nats.connect(
            cluster.urls[0], tls=context, tls_hostname="localhost", allow_reconnect=False, connect_timeout=5
        )
        await client.close()

    with pytest.raises((nats.errors.Error, ssl.SSLError, OSError)):
        asyncio.run(connect())


def test_who_speaks_no_tls_is_not_let_in(cluster: NatsCluster) -> None:
    async def connect() -> None:
        await nats.connect(cluster.urls[0].replace("tls://", "nats://"), allow_reconnect=False, connect_timeout=5)

    with pytest.raises((nats.errors.Error, ssl.SSLError, OSError)):
        asyncio.run(connect())


@pytest.mark.parametrize(("certificate", "let_in"), [("routes", True), ("eventing", False), ("server", False)])
def test_only_a_routes_certificate_makes_a_server(cluster: NatsCluster, certificate: str, let_in: bool) -> None:
    context = cluster.context(certificate)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = ("127.0.0.1", cluster.nodes[0].route_port)
    with socket.create_connection(address, timeout=10) as plain, context.wrap_socket(plain) as connection:
        try:
            answer = connection.recv(64)
        except ssl.SSLError:
            # With TLS 1.3 the refusal of a client's certificate comes after the client has finished.
            answer = b""
    assert answer.startswith(b"INFO ") == let_in
