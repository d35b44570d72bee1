"""Checks the URLs of settings: a malformed one is named at the start, and not found by the first call of a library."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")


def with_scheme(text: str, scheme: str) -> str:
    """Return the URL of an address such as `minio:9000`; a URL stays as it is."""
    return text if "://" in text else f"{scheme}://{text}"


def check_url(url: str, *, schemes: Collection[str], is_endpoint: bool = False, shown: str | None = None) -> None:
    """Raise ValueError unless this is an absolute URL with a scheme of these, a host and a valid port.

    `is_endpoint`: nothing may follow the host and port, nor come before them. The error shows `shown`, if given: some
    URLs hold passwords.
    """
    mistake = _mistake(url, schemes, is_endpoint=is_endpoint)
    if mistake:
        was = "" if shown is None or "@" in shown else f", was {shown!r}"
        kind = " or ".join(schemes)
        raise ValueError(f"must be {'an' if kind[0] == 'h' else 'a'} {kind} URL{was}: {mistake}")


def _mistake(url: str, schemes: Collection[str], *, is_endpoint: bool) -> str:
    if re.search(r"[\s\x00-\x20\x7f\\\\]", url):
        return "it contains a space, a control character or a backslash"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        return "its port is not a number from 0 to 65535" if "port" in str(exc).lower() else "its host is malformed"
    if parts.scheme not in schemes:
        return f"its scheme is not {' or '.join(schemes)}"
    if parts.scheme == "unix":
        return "" if parts.path else "it has no path"
    host = parts.netloc.rpartition("@")[2]
    if not _HOST.fullmatch(re.sub(r":\d*$", "", host)):
        return "its host is missing or malformed"
    if port == 0 or (port is None and host.endswith(":")):
        return "its port is 0 or missing"
    return _extra(parts) if is_endpoint else ""


def _extra(parts: SplitResult) -> str:
    if "@" in parts.netloc:
        return "credentials do not belong in it"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return "nothing may follow the host and its port"
    return ""
