"""Sessions of browsers: a cookie that names the operator, signed with a secret of this process.

The cookie does not have the key. When the console restarts, its secret is another one, and people sign in again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field

COOKIE = "darkroom_console"
LIFETIME_S = 12 * 3600


@dataclass(frozen=True, kw_only=True)
class Sessions:
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def issue(self, name: str, digest: str) -> str:
        """Return the cookie's value for an operator who has shown the key with this digest."""
        ends_at = int(time.time()) + LIFETIME_S
        encoded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        return f"{encoded}.{ends_at}.{self._signature(name, ends_at, digest)}"

    def name_in(self, cookie: str) -> str:
        """Return whom a cookie names, without believing it; empty if it is no cookie of ours."""
        try:
            encoded, _, _ = cookie.split(".")
            return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except (ValueError, binascii.Error):
            return ""

    def is_valid(self, cookie: str, name: str, digest: str) -> bool:
        """Report whether the cookie was issued for this name and this key's digest, and has not expired."""
        parts = cookie.split(".")
        if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 12:
            return False
        ends_at = int(parts[1])
        return time.time() < ends_at and hmac.compare_digest(self._signature(name, ends_at, digest), parts[2])

    def _signature(self, name: str, ends_at: int, digest: str) -> str:
        return hmac.new(self.secret, f"{name}\0{ends_at}\0{digest}".encode(), hashlib.sha256).hexdigest()
