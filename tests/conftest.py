"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# By default an example may take 200 ms, which on a busy machine is a test of the machine. pytest-timeout ends what
# hangs.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
