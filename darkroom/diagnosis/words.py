"""Small wording that several findings share."""

from __future__ import annotations

_SERVERS = {"nats": "NATS", "redis": "Redis", "s3": "S3", "postgres": "PostgreSQL"}


def server_name(server: str) -> str:
    """Return how people write a server's name."""
    return _SERVERS.get(server, server)


def counted(number: int, thing: str) -> str:
    """Return `1 event`, `3 events`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def acting(number: int, thing: str, verb: str) -> str:
    """Return `1 event waits`, `3 events wait`."""
    return f"{counted(number, thing)} {verb}s" if number == 1 else f"{counted(number, thing)} {verb}"


def lasted(seconds: float) -> str:
    """Return a duration for a sentence: `0.4 s`, `12 s`, `3 min`, `2 h`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(number_of_bytes: float) -> str:
    """Return a size for a sentence: `812 KiB`, `1.5 GiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if number_of_bytes < 1024:
            return f"{number_of_bytes:.0f} {unit}" if unit == "bytes" else f"{number_of_bytes:.3g} {unit}"
        number_of_bytes /= 1024
    return f"{number_of_bytes:.3g} GiB"
