"""How visitors follow their jobs. A client that polls sees an end late, which the report has to say."""

from __future__ import annotations

WAIT_S = 20
"""How long one request waits for a job's end."""
POLL_EVERY_S = 1.0
"""The pause between two looks of a visitor that polls: he sees an end up to this much late."""
