"""API keys as text: their format, how they are made and checked, and what is stored of them.

A key is `drk_<id>_<secret><checksum>`. The id is public: it names the key in lists, and is the owner of its jobs. The
secret has 190 random bits. The checksum lets a mistyped key, or a false positive of a secret scanner, be recognised
without a lookup. Where keys are stored and who reads them is not defined here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

PREFIX = "drk"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_ALPHABET = string.digits + string.ascii_lowercase
_ID_CHARACTERS = 12
_SECRET_CHARACTERS = 32
"""Base 62: 190 bits."""
_CHECKSUM_CHARACTERS = 6
_KEY = re.compile(
    rf"{PREFIX}_(?P<id>[0-9a-z]{{{_ID_CHARACTERS}}})_"
    rf"(?P<secret>[0-9A-Za-z]{{{_SECRET_CHARACTERS}}})(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})"
)


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """What is stored of a key: enough to recognise it, not enough to use it."""

    id: str
    sha256: str
    """SHA-256 of the whole key, in hexadecimal. The secret is random, so no salt and no slow hash are needed."""
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
    weight: float = 1.0
    """The key's share of the turns where jobs wait for room in the Broker's window, compared with other keys."""

    def matches(self, key: str) -> bool:
        """Return whether this is the key, in constant time."""
        return hmac.compare_digest(digest_of(key), self.sha256)


def make_key(name: str, *, weight: float = 1.0) -> tuple[str, StoredKey]:
    """Make a new key. Returns the key, which only its user keeps, and what to store of it."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_CHARACTERS))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    key = f"{PREFIX}_{key_id}_{secret}{_checksum(f'{PREFIX}_{key_id}_{secret}')}"
    return key, StoredKey(id=key_id, sha256=digest_of(key), name=name, created_at=datetime.now(UTC), weight=weight)


def key_id_of(key: str) -> str | None:
    """Return the id of a well-formed key with a correct checksum, else None."""
    match = _KEY.fullmatch(key)
    if match is None or _checksum(key[:-_CHECKSUM_CHARACTERS]) != match["checksum"]:
        return None
    return match["id"]


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(text: str) -> str:
    """Return the CRC-32 of the text as six base-62 digits."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
