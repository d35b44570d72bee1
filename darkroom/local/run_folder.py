"""The data folder of a `darkroom up`: locked by one process at a time, whose addresses it holds.

It is for its owner only: in it are the users' files, the servers' passwords and the functions' logs.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from darkroom.local.addresses import Addresses
from darkroom.local.children.servers import S3Credentials
from darkroom.local.errors import LocalRuntimeError

_LOCK = "lock"
DEFAULT_NAME = ".darkroom"
SETTINGS_FILE = "settings.json"
LOWEST_FREE_BYTES = 32 * 1024 * 1024
"""With less space, servers begin to fail: SeaweedFS and JetStream allocate their files in pieces of this order."""


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self._runtime = self.path / "runtime.json"
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Create and lock the folder. The kernel unlocks it if the holder dies.

        Raises LocalRuntimeError if it cannot be used, or is in use, with the holder's pid.
        """
        try:
            is_ours = self._is_ours()
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if is_ours:
                self.path.chmod(0o700)
            lock = _open_private(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as exc:
            detail = f"the data folder {self.path} cannot be used: {exc.strerror}; choose another one with --data"
            raise LocalRuntimeError(detail) from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise LocalRuntimeError(f"{self.path} is in use by another `darkroom up` (pid {holder})") from exc
        self._lock = lock
        try:
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        except OSError as exc:
            raise LocalRuntimeError(f"{self.path / _LOCK} cannot be written: {exc.strerror}") from exc
        self._runtime.unlink(missing_ok=True)
        if (state := self.disk_state()) != "ok":
            raise LocalRuntimeError(state)

    def _is_ours(self) -> bool:
        """Report whether the folder holds nothing but a run's files, so that others need no access to it."""
        if not self.path.exists():
            return True
        names = {entry.name for entry in self.path.iterdir()}
        return not names or _LOCK in names or self.path.name == DEFAULT_NAME

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write_runtime(self, addresses: Addresses) -> None:
        """Write the addresses atomically, because others wait for the file to appear. Raises LocalRuntimeError."""
        draft = self._runtime.with_suffix(".draft")
        try:
            _write_json(draft, {"pid": os.getpid(), "addresses": addresses.as_dict()}, os.O_TRUNC)
            draft.replace(self._runtime)
        except OSError as exc:
            raise LocalRuntimeError(f"{self._runtime} cannot be written: {exc.strerror}") from exc

    def write_settings(self, variables: Mapping[str, str]) -> None:
        """Write the functions' environment, with the servers' passwords, for commands that act as a function would.

        Raises LocalRuntimeError.
        """
        path = self.path / SETTINGS_FILE
        try:
            _write_json(path, dict(variables), os.O_TRUNC)
        except OSError as exc:
            raise LocalRuntimeError(f"{path} cannot be written: {exc.strerror}") from exc

    def write_console_plan(self, plan: Mapping[str, object]) -> Path:
        """Write what the console's process is told, and return the file. Raises LocalRuntimeError."""
        path = self.path / "console.json"
        try:
            _write_json(path, plan, os.O_TRUNC)
        except OSError as exc:
            raise LocalRuntimeError(f"{path} cannot be written: {exc.strerror}") from exc
        return path

    def remove_runtime(self) -> None:
        if self._lock is not None:
            self._runtime.unlink(missing_ok=True)

    def s3_credentials(self) -> S3Credentials:
        """Return the folder's credentials, which are created once. Raises LocalRuntimeError."""
        created = {"access_key": f"darkroom{secrets.token_hex(4)}", "secret_key": secrets.token_urlsafe(30)}
        kept = self._kept("s3-credentials.json", created)
        return S3Credentials(access_key=kept["access_key"], secret_key=kept["secret_key"])

    def password(self) -> str:
        """Return the password of the folder's NATS and Redis, which is created once. Raises LocalRuntimeError."""
        return self._kept("server-password.json", {"password": secrets.token_urlsafe(30)})["password"]

    def free_bytes(self) -> int:
        """Return the space left for the servers' data."""
        return shutil.disk_usage(self.path).free

    def disk_state(self) -> str:
        """Return `ok`, or a sentence that says that the disk is full."""
        free = self.free_bytes()
        if free >= LOWEST_FREE_BYTES:
            return "ok"
        return (
            f"the disk of {self.path} is full: {free} bytes are free, {LOWEST_FREE_BYTES} are needed; free some, or "
            "choose another folder with --data"
        )

    def _kept(self, name: str, created: Mapping[str, str]) -> Mapping[str, str]:
        """Return the texts of a file, which is created with `created` if it does not exist."""
        path = self.path / name
        try:
            if not path.exists():
                _write_json(path, created, os.O_EXCL)
            path.chmod(0o600)
            read = json.loads(path.read_text())
            return {key: str(read[key]) for key in created}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            detail = f"{path} cannot be read ({exc}); delete it to have a new one, for which the stored files stay"
            raise LocalRuntimeError(detail) from exc


def _open_private(path: Path, flags: int) -> IO[str]:
    opened = os.fdopen(os.open(path, flags, 0o600), "a+" if flags & os.O_APPEND else "w")
    os.fchmod(opened.fileno(), 0o600)
    return opened


def _write_json(path: Path, value: object, flags: int) -> None:
    with _open_private(path, os.O_WRONLY | os.O_CREAT | flags) as file:
        file.write(json.dumps(value, indent=2) + "\n")
