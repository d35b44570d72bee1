"""Where the parts of a running local runtime listen."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """URLs without a trailing slash, all on loopback unless the user pointed elsewhere."""

    api: str
    broker: str
    """The ingress: POST events to `{broker}/{namespace}/{name}`."""
    admin: str
    nats: str
    redis: str | None = None
    """None: the project asks for no Redis."""
    s3: str | None = None
    """None: the project asks for no S3."""

    def as_dict(self) -> dict[str, str | None]:
        return asdict(self)
