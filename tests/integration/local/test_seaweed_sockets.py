from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from darkroom.local.children.servers import _remove_dead_sockets

OLD = 1_000_000_000


@pytest.fixture
def make_socket(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Path]:
    def make(name: str, *, listening: bool, old: bool) -> Path:
        path = tmp_path / name
        server = socket.socket(socket.AF_UNIX)
        request.addfinalizer(server.close)
        server.bind(str(path))
        if listening:
            server.listen()
        else:
            server.close()
        if old:
            os.utime(path, (OLD, OLD))
        return path

    return make


def test_only_sockets_that_nobody_answers_on_are_removed_and_only_old_ones(
    tmp_path: Path, make_socket: Callable[..., Path]
) -> None:
    make_socket("seaweedfs-s3-1.sock", listening=False, old=True)
    kept = {
        make_socket("seaweedfs-s3-2.sock", listening=True, old=True),
        make_socket("seaweedfs-s3-3.sock", listening=False, old=False),
        make_socket("another-s3-4.sock", listening=False, old=True),
    }
    plain_file = tmp_path / "seaweedfs-notes.sock"
    plain_file.write_text("a file")
    os.utime(plain_file, (OLD, OLD))

    _remove_dead_sockets(tmp_path)

    assert set(tmp_path.iterdir()) == {*kept, plain_file}
