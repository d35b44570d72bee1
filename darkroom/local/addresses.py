"""The addresses at which the parts of a running local runtime listen."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """URLs without a trailing slash, all on loopback unless the user chose other servers."""

    api: str
    broker: str
    """The Brokers' ingress: POST events to `{broker}/{namespace}/{name}`."""
    admin: str
    nats: str
    redis: str | None = None
    """None: the project uses no Redis."""
    s3: str | None = None
    """None: the project uses no S3."""
    postgres: str | None = None
    """None: the project uses no PostgreSQL."""

    def as_dict(self) -> dict[str, str | None]:
        return asdict(self)
