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
    redis: str
    s3: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
