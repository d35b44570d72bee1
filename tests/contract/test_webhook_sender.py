"""Sending a webhook, against real servers: the signature, the deadline, and who is connected to."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from darkroom.adapters.webhooks import Message, Sent
from darkroom.adapters.webhooks.http import MAX_ANSWER_BYTES, HttpWebhookSender, sign
from darkroom.contract.webhook_addresses import AllowedPrivate, parse_allowed
from tests.certificates import Authority, needs_openssl
from tests.listener import listening
from tests.scripted_http import Reply, scripted_server

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
MESSAGE = Message(webhook_id="msg_1", body=b'{"status":"completed"}')
LOOPBACK_ALLOWED = parse_allowed("127.0.0.0/8")


@pytest.fixture
def sender() -> Iterator[HttpWebhookSender]:
    made = HttpWebhookSender(LOOPBACK_ALLOWED)
    yield made
    made.close()


def test_the_signature_is_that_of_the_specifications_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, the vector that its libraries are tested with."""
    message = Message(webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}')
    headers = sign(message, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], datetime.fromtimestamp(1614265330, UTC))
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_secrets_rotate_a_receiver_verifies_with_the_old_or_the_new_one(sender: HttpWebhookSender) -> None:
    with scripted_server(Reply(status=204)) as server:
        assert sender.send(f"{server.url}/hook", MESSAGE, [SECRET, OLD_SECRET]) == Sent()
    (received,) = server.received
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(received.body, received.headers) == {"status": "completed"}
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(bytes(32)).decode()).verify(received.body, received.headers)
    assert (received.method, received.path) == ("POST", "/hook")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == server.url.removeprefix("http://")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_takes_the_message(sender: HttpWebhookSender, status: int) -> None:
    with scripted_server(Reply(status=status)) as server:
        assert sender.send(server.url, MESSAGE, [SECRET]).is_taken


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_other_statuses_do_not(sender: HttpWebhookSender, status: int) -> None:
    with scripted_server(Reply(status=status, body=b"secret of the endpoint")) as server:
        sent = sender.send(f"{server.url}/hook?token=secret", MESSAGE, [SECRET])
    assert sent.failure == "webhook.answered"
    assert str(status) in sent.detail
    assert "secret" not in sent.detail


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(sender: HttpWebhookSender, status: int) -> None:
    with (
        listening() as forbidden,
        scripted_server(
            Reply(status=status, headers={"Location": f"http://{forbidden.address}/latest/meta-data"})
        ) as server,
    ):
        assert sender.send(server.url, MESSAGE, [SECRET]).failure == "webhook.redirected"
        assert not forbidden.was_connected_to()
    assert len(server.received) == 1


def test_a_server_that_hangs_is_left_within_the_deadline() -> None:
    sender = HttpWebhookSender(LOOPBACK_ALLOWED, within_s=0.3)
    with listening() as listener:
        assert sender.send(f"http://{listener.address}/", MESSAGE, [SECRET]).failure == "webhook.timeout"
    sender.close()


def test_the_deadline_is_for_all_of_a_try_not_for_each_part() -> None:
    """A server that sends a byte now and then never lets a single read time out."""
    sender = HttpWebhookSender(LOOPBACK_ALLOWED, within_s=0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not over.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=[server])
        dripping.start()
        began = time.monotonic()
        sent = sender.send(f"http://127.0.0.1:{server.getsockname()[1]}/", MESSAGE, [SECRET])
        lasted_s = time.monotonic() - began
        over.set()
        dripping.join()
    assert sent.failure == "webhook.timeout"
    assert lasted_s < 30
    sender.close()


def test_no_more_of_an_answer_is_read_than_its_bound(sender: HttpWebhookSender) -> None:
    sent_bytes = 0

    def flood(server: socket.socket) -> None:
        nonlocal sent_bytes
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                while sent_bytes < 1_000_000_000:
                    connection.sendall(bytes(65536))
                    sent_bytes += 65536
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        flooding = threading.Thread(target=flood, args=[server])
        flooding.start()
        assert sender.send(f"http://127.0.0.1:{server.getsockname()[1]}/", MESSAGE, [SECRET]).is_taken
        flooding.join()
    assert MAX_ANSWER_BYTES < 1_000_000
    assert sent_bytes < 50_000_000, "it was read on; the buffers of the kernel are smaller"


@pytest.mark.parametrize(
    ("reply", "failure"),
    [(Reply(hangs_up=True), "webhook.no_http"), (Reply(resets=True), "webhook.unreachable")],
)
def test_broken_connections_are_failures(sender: HttpWebhookSender, reply: Reply, failure: str) -> None:
    with scripted_server(reply) as server:
        assert sender.send(server.url, MESSAGE, [SECRET]).failure == failure


def test_a_port_where_nobody_listens_is_unreachable(sender: HttpWebhookSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert sender.send(f"http://127.0.0.1:{port}/", MESSAGE, [SECRET]).failure == "webhook.unreachable"


def test_without_a_secret_nothing_is_sent(sender: HttpWebhookSender) -> None:
    with listening() as listener:
        assert sender.send(f"http://{listener.address}/", MESSAGE, []).failure == "webhook.no_secret"
        assert not listener.was_connected_to()


# --- who is connected to ---------------------------------------------------------------------------------------------


class Names:
    """A DNS that answers differently each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append(name)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["::ffff:127.0.0.1"],
        ["::1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
    ],
)
def test_a_name_that_leads_inside_is_not_connected_to(answer: list[str]) -> None:
    with listening() as listener:
        sender = HttpWebhookSender(AllowedPrivate(), resolve=Names(answer))
        sent = sender.send(f"https://hooks.example.com:{listener.address.rpartition(':')[2]}/", MESSAGE, [SECRET])
        sender.close()
        assert sent.failure == "webhook.address_refused"
        assert not listener.was_connected_to()


def test_a_name_is_resolved_once_and_the_connection_is_made_to_what_was_checked() -> None:
    """The second answer would lead elsewhere: DNS rebinding."""
    with scripted_server(Reply(status=204)) as server:
        port = server.url.rpartition(":")[2]
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        sender = HttpWebhookSender(parse_allowed("127.0.0.1/32, hooks.example.com"), resolve=names)
        assert sender.send(f"http://hooks.example.com:{port}/", MESSAGE, [SECRET]).is_taken
        sender.close()
    assert len(names.asked) == 1
    assert server.received[0].headers["host"] == f"hooks.example.com:{port}"


def test_a_public_name_is_not_looked_for_within_the_clusters_domains() -> None:
    names = Names(["10.0.0.1"])
    sender = HttpWebhookSender(AllowedPrivate(), resolve=names)
    assert sender.send("https://redis.darkroom/", MESSAGE, [SECRET]).failure == "webhook.address_refused"
    assert names.asked == ["redis.darkroom."]
    sender.close()


def test_a_name_without_an_address_is_a_failure() -> None:
    sender = HttpWebhookSender(AllowedPrivate(), resolve=Names([]))
    assert sender.send("https://hooks.example.com/", MESSAGE, [SECRET]).failure == "webhook.name_unknown"
    sender.close()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    authority = Authority(tmp_path / "authority")
    folder = authority.issue("server", "hooks.example.com", address="192.0.2.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                # All of it: closing with something unread resets the connection.
                received = b""
                while not received.endswith(MESSAGE.body):
                    received += secured.recv(65536)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=[server])
        serving.start()
        yield folder / "ca.crt", server.getsockname()[1]
        serving.join()


@needs_openssl
@pytest.mark.parametrize(
    ("name", "failure"), [("hooks.example.com", ""), ("other.example.com", "webhook.tls")], ids=["right", "another"]
)
def test_tls_is_verified_against_the_name_not_the_address(
    tls_server: tuple[Path, int], name: str, failure: str
) -> None:
    trusted, port = tls_server

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(trusted))

    sender = HttpWebhookSender(parse_allowed("127.0.0.0/8"), resolve=Names(["127.0.0.1"]), trust=trust)
    sent = sender.send(f"https://{name}:{port}/", MESSAGE, [SECRET])
    sender.close()
    assert sent.failure == failure


def test_what_is_sent_is_json(sender: HttpWebhookSender) -> None:
    with scripted_server(Reply()) as server:
        sender.send(server.url, MESSAGE, [SECRET])
    assert json.loads(server.received[0].body) == {"status": "completed"}


def test_the_receiver_of_the_documentation_verifies_what_is_sent(
    sender: HttpWebhookSender, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    (example,) = re.findall(r"<!-- example: python -->\n```python\n(.*?)```", page, re.S)
    names: dict[str, Any] = {}
    exec(example.replace("whsec_...", SECRET), names)
    body = b'{"job_id":"442dd2f8","status":"completed"}'
    with scripted_server(Reply(status=204)) as server:
        sender.send(server.url, Message(webhook_id="msg_1", body=body), [SECRET])
    names["receive"](server.received[0].headers, server.received[0].body)
    assert capsys.readouterr().out == "442dd2f8 completed\n"
