"""SIGTERM loses nothing: uploads that are coming in are taken, renders that are under way are ended."""

from __future__ import annotations

import json
import signal
import socket
from urllib.parse import urlsplit

import psutil
import pytest

from tests.faults.faulty_stack import FaultyStack
from tests.faults.ledger import Ledger
from tests.faults.orders import SLOW_WIDTH
from tests.faults.test_failures import front_door_is_back, settled
from tests.stack import eventually

pytestmark = pytest.mark.slow


def test_an_ingest_that_is_told_to_stop_accepts_the_upload_under_way(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Fails when ingest is killed instead, or ends without waiting for what is in flight."""
    ledger.submit("resize", photograph, width=150)
    (instance,) = faulty.instances("ingest")
    address = urlsplit(faulty.stack.addresses["api"])
    half = len(photograph) // 2
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=40) as connection:
        connection.sendall(_head(len(photograph)) + photograph[:half])
        eventually(lambda: faulty.stack.function("ingest")["in_flight"] >= 1, within_s=20, what="it is coming in")
        instance.send_signal(signal.SIGTERM)
        eventually(lambda: not _listens(instance), within_s=20, what="the instance takes nothing new")
        connection.sendall(photograph[half:])
        status, body = _answer(connection)

    assert status == 202, body
    faulty.stack.completed(json.loads(body)["job_id"])
    front_door_is_back(faulty)
    settled(ledger)


def test_a_function_that_is_told_to_stop_finishes_the_render_under_way(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    faulty.slow(3)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    faulty.at_work(job_id)
    for instance in faulty.instances("resize"):
        instance.send_signal(signal.SIGTERM)

    assert faulty.stack.completed(job_id)["attempts"] == 1
    settled(ledger)


def _head(length: int) -> bytes:
    return (
        f"POST /api/v1/resize?width=151 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


def _listens(instance: psutil.Process) -> bool:
    """Whether any of its processes still takes connections."""
    try:
        processes = [instance, *instance.children(recursive=True)]
        return any(
            connection.status == psutil.CONN_LISTEN
            for process in processes
            for connection in process.net_connections(kind="tcp")
        )
    except psutil.NoSuchProcess:
        return False


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
