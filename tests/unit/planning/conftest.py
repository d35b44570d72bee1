from __future__ import annotations

import pytest

from darkroom.planning.costs import Costs, parse_costs

_COSTS = """
{
  "about": {
    "measured": "2026-01-01", "command": "by hand", "machine": ["a test"], "versions": {}, "reference_cpu_ms": 30,
    "worst_ratio": 1.0
  },
  "render_cpu_ms": {
    "constant": 10, "per_megapixel_read": {"jpeg": 5, "avif": 50}, "per_megapixel_written": {"jpeg": 30, "avif": 400}
  },
  "cpu_ms": {
    "ingest": {"constant": 5, "per_megabyte": 5}, "platform": {"constant": 6, "per_megabyte": 2},
    "redis": {"constant": 2, "per_megabyte": 0}, "nats": {"constant": 1, "per_megabyte": 0},
    "s3": {"constant": 6, "per_megabyte": 10}, "recovery": {"constant": 0, "per_megabyte": 0},
    "status": {"constant": 0, "per_megabyte": 0}
  },
  "standing_cores": {"recovery": 0.01},
  "read_cpu_ms": {"status": 1, "platform": 1, "redis": 0.5},
  "waiting_ms": 25,
  "result_bytes": {
    "jpeg": {"constant": 1000, "per_megapixel": 100000}, "avif": {"constant": 0, "per_megapixel": 60000}
  },
  "redis_bytes": {"unfinished": 3000, "finished": 600},
  "jetstream": {"writes": 2, "bytes": 4000},
  "s3_requests": {
    "whole": {"GET": 1, "PUT": 2}, "streamed": {"GET": 1, "POST": 2, "PUT": 3}, "from_bytes": 5000000
  },
  "pod_bytes": {
    "fixed": {"ingest": 1e8, "status": 9e7, "recovery": 7e7},
    "render_constant": 1e8, "render_per_megapixel_read": 4e6, "render_per_megapixel_written": 2e7
  }
}
"""


@pytest.fixture
def costs() -> Costs:
    """Costs in round numbers, so that what follows can be computed by hand."""
    return parse_costs(_COSTS)
