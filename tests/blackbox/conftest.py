"""Which deployment is asked: the one that the environment names, else a `darkroom up` of our own.

DARKROOM_URL         its address; without it, the local runtime is started
DARKROOM_STATUS_URL  where reads have a host of their own
DARKROOM_API_KEY     where keys are on
DARKROOM_BROKER_URL  of the Broker's ingress; without it, what needs it is skipped
DARKROOM_METRICS_URL a page of metrics (it ends with /metrics), or Prometheus; without it, what needs it is skipped
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blackbox.client import Deployment
from tests.blackbox.metrics import Metrics


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    url = os.environ.get("DARKROOM_URL")
    if url:
        yield Deployment(
            url=url.rstrip("/"),
            status_url=os.environ.get("DARKROOM_STATUS_URL", url).rstrip("/"),
            api_key=os.environ.get("DARKROOM_API_KEY"),
            broker_url=os.environ.get("DARKROOM_BROKER_URL"),
            metrics_url=os.environ.get("DARKROOM_METRICS_URL"),
        )
    else:
        yield from _local(tmp_path_factory.mktemp("blackbox"))


def _local(folder: Path) -> Iterator[Deployment]:
    from tests.stack import made_api_key, running_stack

    keys = folder / "keys.json"
    key = made_api_key(keys)
    # A short window, so that what waits for zero does not wait for long.
    options = ("--api-keys", str(keys), "--rate-limit", "off", "--window", "6s")
    with running_stack(folder / "data", *options) as stack:
        yield Deployment(
            url=stack.addresses["api"],
            status_url=stack.addresses["api"],
            api_key=key,
            broker_url=f"{stack.addresses['broker']}/darkroom/darkroom",
            metrics_url=f"{stack.addresses['admin']}/metrics",
        )


@pytest.fixture(scope="session")
def metrics(deployment: Deployment) -> Metrics:
    if deployment.metrics_url is None:
        pytest.skip("DARKROOM_METRICS_URL is not set")
    return Metrics(url=deployment.metrics_url)


@pytest.fixture(scope="session")
def broker(deployment: Deployment) -> str:
    if deployment.broker_url is None:
        pytest.skip("DARKROOM_BROKER_URL is not set")
    return deployment.broker_url
