"""Measures what a pod itself adds to a cold start: from the spawn of a function, in its image's tree, to its answers.

    python -m benchmarks.image_start [--function resize] [--runs 10] [--compare FOLDER] [--imports 20]

images/install.sh makes the tree, as in the Dockerfile. Redis is real, so the first event meets the job store as in a
cluster. `floor` is functions-framework alone, serving a function that does nothing. With --compare two trees take
turns: make FOLDER with images/install.sh in the version to compare with.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from darkroom.contract import job_types
from tests.servers import LOOPBACK, free_port, redis_server, running
from tests.stack import ROOT

_POLL_S = 0.002
_GIVE_UP_S = 60.0
_IMPORT = re.compile(r"import time:\s+(?P<own>\d+) \|\s+\d+ \|\s+(?P<module>[\w.]+)")
_FLOOR = "import functions_framework\n\n@functions_framework.http\ndef {name}(request):\n    return '', 204\n"


@dataclass(frozen=True, kw_only=True)
class Tree:
    label: str
    folder: Path
    source: str


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start; seconds since the spawn."""

    port_s: float
    event_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--function", default="resize", choices=job_types.NAMES)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--compare", type=Path, metavar="FOLDER", help="another tree of the same function's image")
    parser.add_argument(
        "--imports", type=int, default=20, help="how many packages to list by the time of their imports"
    )
    arguments = parser.parse_args()
    name: str = arguments.function
    with tempfile.TemporaryDirectory() as made, running(redis_server(Path(made) / "redis")) as redis:
        trees = [_installed(name, Path(made))]
        if arguments.compare:
            trees.append(Tree(label="compared", folder=arguments.compare.resolve(), source=f"functions/{name}/main.py"))
        trees.append(_floor(trees[0], name, Path(made)))
        starts: dict[str, list[Start]] = {tree.label: [] for tree in trees}
        for number in range(arguments.runs):
            for tree in trees:
                starts[tree.label].append(_start(tree, name, redis.url))
            print(f"{number + 1}/{arguments.runs}", file=sys.stderr)
        _report(starts)
        _list_imports(trees[0], name, redis.url, arguments.imports)


def _installed(name: str, made: Path) -> Tree:
    folder = made / "tree"
    subprocess.run([ROOT / "images/install.sh", name, folder, sys.executable], check=True)
    return Tree(label="image", folder=folder, source=f"functions/{name}/main.py")


def _floor(image: Tree, name: str, made: Path) -> Tree:
    source = made / "floor.py"
    source.write_text(_FLOOR.format(name=name))
    return Tree(label="floor", folder=image.folder, source=str(source))


def _start(tree: Tree, name: str, redis_url: str) -> Start:
    port = free_port()
    spawned = time.perf_counter()
    with _process(tree, name, redis_url, port):
        port_s = _until_answered(port, "GET", "/health/startup", {}) - spawned
    spawned = time.perf_counter()
    with _process(tree, name, redis_url, port):
        event_s = _until_answered(port, "POST", "/", _event_headers(name), _event(name)) - spawned
    return Start(port_s=port_s, event_s=event_s)


@contextmanager
def _process(
    tree: Tree, name: str, redis_url: str, port: int, *options: str, errors: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[None]:
    # The base interpreter with -S: neither a virtual environment's packages nor this machine's are in the image.
    python = getattr(sys, "_base_executable", sys.executable)
    process = subprocess.Popen(
        [python, "-S", *options, "-m", "functions_framework"],
        cwd=tree.folder,
        env=_environment(tree, name, redis_url, port),
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _environment(tree: Tree, name: str, redis_url: str, port: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": tempfile.gettempdir(),
        "PYTHONPATH": f"{tree.folder}:{tree.folder / 'packages'}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "FUNCTION_TARGET": name,
        "FUNCTION_SOURCE": tree.source,
        "PORT": str(port),
        "WORKERS": "2",
        "THREADS": "1",
        "REDIS_URL": redis_url,
        "STORAGE_ENDPOINT": f"http://{LOOPBACK}:1",
        "STORAGE_ACCESS_KEY": "key",
        "STORAGE_SECRET_KEY": "secret",
    }


def _event_headers(name: str) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-source": "/darkroom/benchmark",
        "ce-type": job_types.job_type_named(name).event_type,
        "content-type": "application/json",
    }


def _event(name: str) -> bytes:
    job = uuid.uuid4()
    return (
        f'{{"job_id": "{job}", "type": "{name}", "parameters": {{"width": 400, "height": 300}},'
        f' "input": {{"storage_key": "uploads/{job}/original.jpg"}},'
        f' "metadata": {{"created_at": "2026-01-01T00:00:00Z", "retry_count": 0, "request_id": "{job}"}}}}'
    ).encode()


def _until_answered(port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> float:
    """Ask until there is an answer, and return when that was."""
    give_up_at = time.perf_counter() + _GIVE_UP_S
    while time.perf_counter() < give_up_at:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_GIVE_UP_S)
        try:
            connection.request(method, path, body, headers)
            status = connection.getresponse().status
        except OSError:
            time.sleep(_POLL_S)
            continue
        finally:
            connection.close()
        if status >= 300:
            raise SystemExit(f"{method} {path} was answered {status}")
        return time.perf_counter()
    raise SystemExit(f"no answer within {_GIVE_UP_S:g} s")


def _report(starts: dict[str, list[Start]]) -> None:
    print(f"\n{'milliseconds since the spawn':<32}{'first answer':>14}{'first event':>14}   (median; least)")
    for label, seen in starts.items():
        columns = [[start.port_s * 1000 for start in seen], [start.event_s * 1000 for start in seen]]
        print(f"{label:<32}" + "".join(f"{statistics.median(times):>7.0f}{min(times):>7.0f}" for times in columns))
    for label in [label for label in starts if label != "image"]:
        ratio = statistics.median(
            ours.event_s / other.event_s for ours, other in zip(starts["image"], starts[label], strict=True)
        )
        print(f"image / {label}, first event: {ratio:.2f}")


def _list_imports(tree: Tree, name: str, redis_url: str, packages: int) -> None:
    with tempfile.TemporaryFile() as errors:
        port = free_port()
        with _process(tree, name, redis_url, port, "-X", "importtime", errors=errors):
            _until_answered(port, "GET", "/health/startup", {})
            _until_answered(port, "POST", "/", _event_headers(name), _event(name))
        errors.seek(0)
        report = errors.read().decode(errors="replace")
    own_us: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for line in _IMPORT.finditer(report):
        package = line["module"].split(".")[0]
        own_us[package] += int(line["own"])
        modules[package] += 1
    took_ms = sum(own_us.values()) / 1000
    print(f"\nimports until the first event is answered: {sum(modules.values())} modules, {took_ms:.0f} ms")
    for package, took_us in own_us.most_common(packages):
        print(f"  {package:<24}{took_us / 1000:>7.1f} ms{modules[package]:>5} modules")


if __name__ == "__main__":
    main()
