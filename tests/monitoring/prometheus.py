"""A real Prometheus for tests: Debian's package `prometheus`, on a free port, with its data in a folder that is thrown
away. Without the package the tests that need it are skipped; .ci/run installs it where it may.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import LOOPBACK, Server, free_port, running

_WHY = "{} is not installed (Debian: apt-get install prometheus)"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=_WHY.format("promtool"))
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason=_WHY.format("prometheus"))


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    url: str

    def value(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: a list of series with their labels."""
        return self._ask("query", query=expression)

    def range(self, expression: str, *, last_s: float, step_s: float) -> list[dict[str, Any]]:
        now = time.time()
        return self._ask("query_range", query=expression, start=f"{now - last_s}", end=f"{now}", step=f"{step_s}")

    def firing(self) -> set[str]:
        alerts = self._get("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def fired(self, *, last_s: float) -> set[str]:
        """Also those that are over."""
        series = self.range('ALERTS{alertstate="firing"}', last_s=last_s, step_s=1)
        return {each["metric"]["alertname"] for each in series}

    def failed_rules(self) -> list[str]:
        """Rules whose latest evaluation failed, with what Prometheus says of it."""
        groups = self._get("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}"
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError")
        ]

    def _ask(self, what: str, **parameters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get(what, **parameters)["result"]
        return found

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data


@contextmanager
def running_prometheus(
    folder: Path, *, targets: Sequence[str], rules: Mapping[str, Any], interval: str = "1s"
) -> Iterator[Prometheus]:
    """Scrapes `targets`, each `host:port`, and evaluates the rules."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.json").write_text(json.dumps(rules))
    configuration = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(folder / "rules.json")],
        "scrape_configs": [{"job_name": "darkroom", "static_configs": [{"targets": list(targets)}]}],
    }
    # JSON is YAML too.
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    with running(_server(folder)) as server:
        yield Prometheus(url=server.url)


def _server(folder: Path) -> Server:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    return Server(
        url=url,
        command=[
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        folder=folder,
        is_ready=lambda: _ready(url),
    )


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
