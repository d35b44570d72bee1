from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from darkroom.local import run_folder
from darkroom.local.addresses import Addresses
from darkroom.local.children.logs import LogDirectory
from darkroom.local.errors import LocalRuntimeError
from darkroom.local.run_folder import RunFolder
from darkroom.local.watching.disk import watch_disk

ADDRESSES = Addresses(api="http://a", broker="http://b", admin="http://c", nats="nats://d")


def open_to_others(folder: Path) -> dict[str, str]:
    """The files below a folder, and itself, that anybody but the owner may use."""
    return {str(path): oct(path.stat().st_mode) for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077}


def test_a_run_folder_and_its_files_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "data")
    folder.lock()
    folder.s3_credentials()
    folder.password()
    folder.write_runtime(ADDRESSES)
    logs = LogDirectory(folder.logs)
    logs.sink("resize")("a line")
    logs.close()
    assert open_to_others(folder.path) == {}
    folder.unlock()


def test_the_folder_of_an_earlier_version_is_closed_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "lock").touch(mode=0o644)
    (data / "s3-credentials.json").write_text('{"access_key": "a", "secret_key": "s"}')
    folder = RunFolder(data)
    folder.lock()
    assert folder.s3_credentials().secret_key == "s"
    assert open_to_others(data) == {}
    folder.unlock()


def test_a_folder_with_other_peoples_files_keeps_its_mode(tmp_path: Path) -> None:
    data = tmp_path / "shared"
    data.mkdir()
    data.chmod(0o755)
    (data / "notes.txt").touch()
    folder = RunFolder(data)
    folder.lock()
    assert data.stat().st_mode & 0o777 == 0o755
    folder.unlock()


def test_credentials_and_the_password_stay_the_same(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.s3_credentials() == RunFolder(tmp_path).s3_credentials()
    assert folder.password() == RunFolder(tmp_path).password()
    assert len(folder.password()) >= 40


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_key": "a"}', "\x00\x00"])
def test_damaged_credentials_are_one_sentence_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "s3-credentials.json").write_text(text)
    with pytest.raises(LocalRuntimeError, match=r"s3-credentials\.json cannot be read .*delete it"):
        RunFolder(tmp_path).s3_credentials()


def test_a_folder_that_cannot_be_created_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalRuntimeError, match="cannot be used: Not a directory; choose another one with --data"):
        RunFolder(tmp_path / "file" / "data").lock()


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "LOWEST_FREE_BYTES", 1 << 62)
    folder = RunFolder(tmp_path)
    with pytest.raises(LocalRuntimeError, match=r"the disk of .* is full: \d+ bytes are free, \d+ are needed"):
        folder.lock()
    folder.unlock()


def test_a_log_that_cannot_be_written_says_so_once_and_goes_on_when_it_can(tmp_path: Path) -> None:
    said: list[str] = []
    logs = LogDirectory(tmp_path / "logs", on_failure=lambda name, error: said.append(f"{name}: {error.strerror}"))
    (tmp_path / "logs").rmdir()
    for _ in range(100):
        logs.sink("resize")("lost")
    assert said == ["resize: No such file or directory"]
    (tmp_path / "logs").mkdir()
    logs.sink("resize")("kept")
    assert logs.path("resize").read_text() == "kept\n"
    logs.close()


def test_a_disk_that_fills_up_is_reported_once_and_its_end_too() -> None:
    states = iter(["ok", "full of logs", "full of logs", "ok", "ok"])
    said: list[tuple[str, dict[str, object]]] = []

    def report(action: str, /, **fields: object) -> None:
        said.append((action, fields))

    with pytest.raises(RuntimeError):
        asyncio.run(watch_disk(lambda: next(states), report, every_s=0))
    assert said == [("disk.full", {"detail": "full of logs"}), ("disk.has_room", {})]
