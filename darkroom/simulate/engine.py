"""Runs a Scenario."""

from __future__ import annotations

from darkroom.simulate.model import Scenario
from darkroom.simulate.result import Result


def run(scenario: Scenario) -> Result:
    """Simulate a Scenario from its beginning to its `duration_s`."""
    raise NotImplementedError("the engine follows in the next commit")
