"""The simulator's errors."""

from __future__ import annotations


class ScenarioError(ValueError):
    """A scenario that contradicts itself. The message names what and says what there is."""
