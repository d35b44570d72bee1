"""The shipped NATS configuration on this machine: three real servers with TLS, certificates by the shipped script.

Only addresses and folders are put in the place of the cluster's.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import nats
from nats.aio.client import Client

from tests.servers import LOOPBACK, Server, free_port, running, script

CONFIGURATION = Path(__file__).parents[2] / "nats-eventing" / "cluster"
CONNECT_TIMEOUT_S = 5
ANSWERED_WITHIN_S = 5

Attempt: TypeAlias = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Node:
    server: Server
    route_port: int
    monitor_port: int


@dataclass(frozen=True, kw_only=True)
class NatsCluster:
    certificates: Path
    urls: list[str]
    nodes: list[Node] = field(default_factory=list)

    def context(self, user: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        context.load_cert_chain(self.certificates / f"{user}.crt", self.certificates / f"{user}.key")
        return context


def make_certificates(folder: Path) -> Path:
    subprocess.run([CONFIGURATION / "certificates.sh", folder], check=True, timeout=60)
    return folder


@contextmanager
def nats_cluster(folder: Path, *, servers: int = 3) -> Iterator[NatsCluster]:
    certificates = make_certificates(folder / "certificates")
    ports = [(free_port(), free_port(), free_port()) for _ in range(servers)]
    nodes = [_node(folder / f"nats-{n}", n, ports, certificates) for n in range(servers)]
    with ExitStack() as stack:
        # Together: none of them is ready before it has found the others.
        for node in nodes:
            stack.enter_context(running(node.server))
        yield NatsCluster(certificates=certificates, urls=[node.server.url for node in nodes], nodes=nodes)


def _node(folder: Path, number: int, ports: list[tuple[int, int, int]], certificates: Path) -> Node:
    client, route, monitor = ports[number]
    folder.mkdir(parents=True)
    for secret in ("server", "routes"):
        _mounted(folder / "tls" / secret, certificates, secret)
    replaced = {
        "port: 4222": f'listen: "{LOOPBACK}:{client}"',
        "http_port: 8222": f'http: "{LOOPBACK}:{monitor}"',
        "port: 6222": f'listen: "{LOOPBACK}:{route}"',
        '"/run/nats/nats.pid"': f'"{folder}/nats.pid"',
        '"/data"': f'"{folder}/data"',
        "/etc/nats-tls": str(folder / "tls"),
    }
    for other, (_, other_route, _) in enumerate(ports):
        replaced[f"nats-{other}.nats-headless.nats-io.svc.cluster.local:6222"] = f"{LOOPBACK}:{other_route}"
    for file in CONFIGURATION.glob("*.conf"):
        (folder / file.name).write_text(_with(file.read_text(), replaced))
    server = Server(
        url=f"tls://{LOOPBACK}:{client}",
        command=[script("nats-server"), "--config", str(folder / "nats.conf")],
        folder=folder,
        environment={"POD_NAME": f"nats-{number}"},
        is_ready=lambda: _accepts(client),
    )
    return Node(server=server, route_port=route, monitor_port=monitor)


def _mounted(folder: Path, certificates: Path, name: str) -> None:
    """As the Secret is mounted."""
    folder.mkdir(parents=True)
    ca = "routes-ca" if name == "routes" else "ca"
    for source, target in ((f"{ca}.crt", "ca.crt"), (f"{name}.crt", "tls.crt"), (f"{name}.key", "tls.key")):
        shutil.copy(certificates / source, folder / target)


def _with(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


# --- a client that notices refusals ----------------------------------------------------------------------------------


class Watched:
    """A connection that remembers what the server refused it."""

    def __init__(self, client: Client, refusals: list[str]) -> None:
        self.client = client
        self.refusals = refusals

    async def allowed(self, attempts: Collection[Attempt]) -> set[Attempt]:
        """Those of ("publish" or "subscribe", subject) that the server lets this client do."""
        for action, subject in sorted(attempts):
            if action == "publish":
                await self.client.publish(subject, b"")
            else:
                await self.client.subscribe(subject)
        # Answers come in order: every refusal is read before the pong, and told before the next one.
        for _ in range(2):
            await self.client.flush(timeout=ANSWERED_WITHIN_S)
        return {attempt for attempt in attempts if not self._refused(*attempt)}

    def _refused(self, action: str, subject: str) -> bool:
        kind = {"publish": "publish to", "subscribe": "subscription to"}[action]
        # The client hands texts on in lower case.
        return any(f'{kind} "{subject.lower()}"' in refusal for refusal in self.refusals)


@asynccontextmanager
async def connected(cluster: NatsCluster, user: str) -> AsyncIterator[Watched]:
    refusals: list[str] = []

    async def refused(error: Exception) -> None:
        refusals.append(str(error))

    async with AsyncExitStack() as stack:
        client = await nats.connect(
            cluster.urls[0],
            tls=cluster.context(user),
            tls_hostname="localhost",
            connect_timeout=CONNECT_TIMEOUT_S,
            allow_reconnect=False,
            error_cb=refused,
        )
        stack.push_async_callback(client.close)
        yield Watched(client, refusals)
