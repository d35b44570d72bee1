"""The bounds and formats of what callers may send besides parameters: page size, waiting time, request ids."""

from __future__ import annotations

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""Jobs on one page."""

IDEMPOTENCY_KEY_PATTERN = "^[!-~]([ -~]{0,253}[!-~])?$"

MAX_WAIT_S = 60.0
"""The longest `?wait=`, in seconds."""

MAX_STREAM_S = 90.0
"""The longest stream of server-sent events, in seconds: below the function's own time limit. Clients reconnect by
themselves.
"""
KEEP_ALIVE_S = 15.0
RECONNECT_MS = 1000
