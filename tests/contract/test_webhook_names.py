"""Names for which nobody answers: they hold up their own webhooks and no other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from darkroom.adapters.webhooks import Sent
from darkroom.adapters.webhooks.http import HttpWebhookSender
from darkroom.contract.webhook_addresses import parse_allowed
from tests.contract.test_webhook_sender import MESSAGE, SECRET
from tests.scripted_http import Reply, scripted_server
from tests.stack import eventually

HANGING = 40
"""More than an event loop has threads for lookups by itself."""


class HangingLookups:
    """The operating system's lookup, which hangs for some names and knows one that is at this machine."""

    def __init__(self) -> None:
        self.hanging: list[str] = []
        self.released = threading.Event()
        self._of_the_system = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(".hangs.example."):
            self.hanging.append(str(host))
            self.released.wait(120)
            raise socket.gaierror("nobody answers")
        known = str(host).startswith("good.example")
        return self._of_the_system("127.0.0.1" if known else host, port, *arguments, **options)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingLookups]:
    made = HangingLookups()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.released.set()


@pytest.fixture
def sender() -> Iterator[HttpWebhookSender]:
    made = HttpWebhookSender(parse_allowed("good.example.com"), within_s=60)
    yield made
    made.close()


def test_a_webhook_is_sent_while_the_names_of_many_others_hang(
    lookups: HangingLookups, sender: HttpWebhookSender
) -> None:
    with scripted_server(Reply(status=204)) as server, ThreadPoolExecutor(HANGING) as tries:
        port = server.url.rpartition(":")[2]
        under_way = [
            tries.submit(sender.send, f"https://n{number}.hangs.example/", MESSAGE, [SECRET])
            for number in range(HANGING)
        ]
        eventually(lambda: len(lookups.hanging) == HANGING, within_s=60, what="all lookups are under way")
        assert sender.send(f"http://good.example.com:{port}/", MESSAGE, [SECRET]) == Sent()
        assert not any(each.done() for each in under_way)
        lookups.released.set()
        assert {each.result().failure for each in under_way} == {"webhook.name_unknown"}


def test_tries_to_one_name_share_a_lookup_and_one_that_gives_up_leaves_it_to_the_others(
    lookups: HangingLookups,
) -> None:
    hasty = HttpWebhookSender(parse_allowed(""), within_s=0.2)
    assert hasty.send("https://one.hangs.example/", MESSAGE, [SECRET]).failure == "webhook.timeout"
    assert hasty.send("https://one.hangs.example/", MESSAGE, [SECRET]).failure == "webhook.timeout"
    assert lookups.hanging == ["one.hangs.example."]
    lookups.released.set()

    def is_answered() -> bool:
        return hasty.send("https://one.hangs.example/", MESSAGE, [SECRET]).failure == "webhook.name_unknown"

    eventually(is_answered, within_s=60, what="the answer is heard")
    hasty.close()
