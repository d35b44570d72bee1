"""Scale to zero, of a deployment whose metrics may be read: DARKROOM_METRICS_URL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blackbox.client import Deployment, downloaded, png, png_size
from tests.blackbox.metrics import Metrics

# A stack of its own, or somebody's cluster: not for `make test`.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PICTURE = png(320, 240)
PARAMETERS: dict[str, dict[str, Any]] = {
    "resize": {"width": 96, "height": 72},
    "crop": {"x": 1, "y": 2, "width": 96, "height": 72},
}


@pytest.mark.parametrize("function", list(PARAMETERS))
def test_a_function_goes_to_zero_when_nothing_comes_and_a_job_is_done_from_there(
    deployment: Deployment, metrics: Metrics, function: str
) -> None:
    deployment.completed(deployment.submit(function, PICTURE, **PARAMETERS[function]))
    metrics.wait_for_zero(function)
    job = deployment.completed(deployment.submit(function, PICTURE, **PARAMETERS[function]))
    assert png_size(downloaded(job)) == (96, 72)
    assert job["attempts"] == 1, "the cold start cost no attempt"
