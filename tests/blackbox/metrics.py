"""How many instances a function has, as a deployment's metrics tell: a page in Prometheus' text format, or its own
API. Locally the runtime counts them, on a cluster Knative's autoscaler (Serving 1.19 and newer); names as the
documentation of both has them, for this suite needs nothing of the code that it judges.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_LOCAL = 'darkroom_instances{{service="{function}",state=~"ready|starting"}}'
_KNATIVE = 'kn_revision_pods_count{{kn_service_name="{function}"}}'
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
        samples = (sample for family in text_string_to_metric_families(answer.text) for sample in family.samples)
        counts = [sample.value for sample in samples if _counts(sample, function)]
        assert counts, f"neither the runtime nor Knative counts the instances of {function} at {self.url}"
        return int(sum(counts))


def _counts(sample: Sample, function: str) -> bool:
    labels = sample.labels
    if sample.name == "darkroom_instances":
        return labels.get("service") == function and labels.get("state") in {"ready", "starting"}
    return sample.name == "kn_revision_pods_count" and labels.get("kn_service_name") == function
