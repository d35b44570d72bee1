"""How lists are paged, how waiting is bounded, how a request is named: what callers may ask beside parameters."""

from __future__ import annotations

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
"""Jobs on one page."""

IDEMPOTENCY_KEY_PATTERN = "^[!-~]([ -~]{0,253}[!-~])?$"

MAX_WAIT_S = 60.0
"""Of `?wait=`."""

MAX_STREAM_S = 90.0
"""Of one stream of server-sent events: below the function's own time limit. Clients come again by themselves."""
KEEP_ALIVE_S = 15.0
RECONNECT_MS = 1000
