"""How many instances a function has, as a deployment's metrics tell: a page in Prometheus' text format, or its own
API. Locally the runtime counts them, on a cluster Knative's autoscaler (Serving 1.19 and newer); names as the
documentation of both has them, for this suite needs nothing of the code that it judges.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import httpx

_LOCAL = 'darkroom_instances{{service="{function}",state=~"ready|starting"}}'
_KNATIVE = 'kn_revision_pods_count{{kn_service_name="{function}"}}'
_LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)\{(?P<labels>[^}]*)\} (?P<value>\S+)", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
AT_ZERO_WITHIN_S = 240.0
"""The stable window, the grace period of 30 s, and what an autoscaler's metrics are late by."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    url: str
    """One that ends with /metrics is a page to read; any other is Prometheus' address."""

    def instances(self, function: str) -> int:
        """Of a function, ready or on their way."""
        return self._of_page(function) if self.url.endswith("/metrics") else self._of_prometheus(function)

    def wait_for_zero(self, function: str) -> None:
        give_up_at = time.monotonic() + AT_ZERO_WITHIN_S
        while (left := self.instances(function)) > 0:
            assert time.monotonic() < give_up_at, f"{function} still has {left} instances after {AT_ZERO_WITHIN_S:g} s"
            time.sleep(1)

    def _of_prometheus(self, function: str) -> int:
        query = f"sum({_LOCAL}) or sum({_KNATIVE})".format(function=function)
        answer = httpx.get(f"{self.url.rstrip('/')}/api/v1/query", params={"query": query}, timeout=30)
        assert answer.status_code == 200, answer.text
        result = answer.json()["data"]["result"]
        assert result, f"neither the runtime nor Knative counts the instances of {function} at {self.url}"
        return int(float(result[0]["value"][1]))

    def _of_page(self, function: str) -> int:
        answer = httpx.get(self.url, timeout=30)
        assert answer.status_code == 200, answer.text
        counts = [
            float(line["value"])
            for line in _LINE.finditer(answer.text)
            if _counts(line["name"], dict(_LABEL.findall(line["labels"])), function)
        ]
        assert counts, f"neither the runtime nor Knative counts the instances of {function} at {self.url}"
        return int(sum(counts))


def _counts(name: str, labels: dict[str, str], function: str) -> bool:
    if name == "darkroom_instances":
        return labels.get("service") == function and labels.get("state") in {"ready", "starting"}
    return name == "kn_revision_pods_count" and labels.get("kn_service_name") == function
