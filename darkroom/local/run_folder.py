"""The data folder of a `darkroom up`: locked by one process at a time, whose addresses it holds."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import IO

from darkroom.local.addresses import Addresses
from darkroom.local.children.servers import S3Credentials
from darkroom.local.errors import LocalRuntimeError


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self._runtime = self.path / "runtime.json"
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Lock the folder. Raises LocalRuntimeError with the holder's pid. The kernel unlocks it if the holder dies."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise LocalRuntimeError(f"{self.path} is in use by another `darkroom up` (pid {holder})") from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self._runtime.unlink(missing_ok=True)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def write_runtime(self, addresses: Addresses) -> None:
        """Write the addresses atomically, because others wait for the file to appear."""
        draft = self._runtime.with_suffix(".draft")
        draft.write_text(json.dumps({"pid": os.getpid(), "addresses": addresses.as_dict()}, indent=2) + "\n")
        draft.replace(self._runtime)

    def remove_runtime(self) -> None:
        if self._lock is not None:
            self._runtime.unlink(missing_ok=True)

    def s3_credentials(self) -> S3Credentials:
        """Return the folder's credentials, which are created once and readable only by their owner."""
        path = self.path / "s3-credentials.json"
        if not path.exists():
            created = {"access_key": f"darkroom{secrets.token_hex(4)}", "secret_key": secrets.token_urlsafe(30)}
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(created, file)
        try:
            found = json.loads(path.read_text("utf-8"))
            return S3Credentials(access_key=str(found["access_key"]), secret_key=str(found["secret_key"]))
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise LocalRuntimeError(
                f"{path} holds no credentials that can be read: it was damaged, or another version wrote it. Remove "
                "it: new ones are made at the next start, and what is stored stays"
            ) from exc
