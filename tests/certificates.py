"""Certificates for tests: an authority that lives for a day, made with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


class Authority:
    """Makes certificates into folders that look like a Secret of type kubernetes.io/tls: ca.crt, tls.crt, tls.key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key, self._certificate = folder / "ca.key", folder / "ca.crt"
        _openssl(
            *("req", "-x509", "-days", "1", "-subj", "/CN=tests", *_NEW_KEY),
            *("-keyout", self._key, "-out", self._certificate),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name: str, *hosts: str, address: str) -> Path:
        """A server's certificate for these names and this address; the folder it is in."""
        folder = self._folder / name
        folder.mkdir()
        names = ",".join([*(f"DNS:{host}" for host in hosts), f"IP:{address}"])
        request, extensions = folder / "request.csr", folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-new", "-subj", f"/CN={name}", *_NEW_KEY, "-keyout", folder / "tls.key", "-out", request)
        _openssl(
            *("x509", "-req", "-days", "1", "-in", request, "-out", folder / "tls.crt", "-extfile", extensions),
            *("-CA", self._certificate, "-CAkey", self._key, "-CAcreateserial"),
        )
        shutil.copy(self._certificate, folder / "ca.crt")
        return folder


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
