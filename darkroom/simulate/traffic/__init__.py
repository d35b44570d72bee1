"""Traffic for the simulator, read from what a system already has: logs, metrics, tables of times, runs of load tests.

A module per source, each a pure parser from text or bytes to `Traffic`. Which file is read, and whether over HTTP, is
decided by the command.
"""

from __future__ import annotations

from darkroom.simulate.traffic.model import Traffic, TrafficError

__all__ = ["Traffic", "TrafficError"]
