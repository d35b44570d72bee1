"""A certificate of this machine's own for SeaweedFS' gRPC ports, on which it knows no other authentication.

It is made by the `openssl` command, which nearly every system has, so that no library is needed for it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OPENSSL_TIMEOUT_S = 30.0
VALID_DAYS = 3650


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A self-signed certificate that is its own authority, for both ends of mutual TLS."""

    certificate: Path
    key: Path


class NoCertificateError(Exception):
    """The certificate could not be made."""


def make_certificate(folder: Path) -> Certificate:
    """Make a new certificate in a folder that only its owner may read. Raises NoCertificateError."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoCertificateError("there is no openssl on the PATH")
    made = Certificate(certificate=folder / "grpc.crt", key=folder / "grpc.key")
    command = [
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=darkroom", "-days", str(VALID_DAYS), "-addext", "extendedKeyUsage=serverAuth,clientAuth"),
        *("-keyout", str(made.key), "-out", str(made.certificate)),
    ]
    try:
        subprocess.run(
            command, capture_output=True, text=True, timeout=OPENSSL_TIMEOUT_S, check=True, umask=0o077, cwd=folder
        )
    except subprocess.CalledProcessError as exc:
        raise NoCertificateError(f"openssl: {exc.stderr.strip()[-300:]}") from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NoCertificateError(f"openssl: {exc}") from exc
    return made
