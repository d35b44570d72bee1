"""Worker processes of an instance, compared with the requests that it gets at once."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.manifests.platform.bundle import Bundle, Manifest, mappings, whole
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity

_CONCURRENCY: tuple[str | int, ...] = ("spec", "template", "spec", "containerConcurrency")
_VARIABLE = "WORKER_CONCURRENCY"

GOOD = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    spec:
      containerConcurrency: 2
      containers:
        - image: example.com/resize:1.0.0
          envFrom: [{configMapRef: {name: settings}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {WORKER_CONCURRENCY: "2"}
"""


@rule(
    "worker-concurrency",
    Severity.ERROR,
    "an instance gets another number of requests at once than it has worker processes",
    on_the_cluster="With more requests than processes, some wait in an instance while others are idle, and their time "
    "limit runs meanwhile. With fewer, processes take memory and do nothing.",
    fix="Set containerConcurrency and WORKER_CONCURRENCY to the same number.",
    bad=GOOD.replace("containerConcurrency: 2", "containerConcurrency: 3"),
    good=GOOD,
)
def worker_concurrency(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        processes = _processes(bundle, function)
        concurrency = whole(function.get(*_CONCURRENCY)) or 0
        if processes is not None and processes != concurrency:
            path = _CONCURRENCY if function.get(*_CONCURRENCY) is not None else _CONCURRENCY[:-1]
            shown = concurrency or "not limited"
            yield function, path, f"{_VARIABLE} of {function.name} is {processes}, its containerConcurrency {shown}"


def _processes(bundle: Bundle, function: Manifest) -> int | None:
    """Return the number of worker processes that WORKER_CONCURRENCY sets; None if it does not decide.

    A shared ConfigMap's does not decide about a function that sets WORKERS for itself.
    """
    own = function.variable(_VARIABLE)
    if own is not None:
        return whole(own)
    if function.variable("WORKERS") is not None:
        return None
    return next((whole(shared) for shared in shared_settings(bundle, function, _VARIABLE)), None)


def shared_settings(bundle: Bundle, function: Manifest, variable: str) -> Iterator[object]:
    """Yield the variable's values in the ConfigMaps that the function takes its whole environment from."""
    for _, container in function.containers():
        for _, source in mappings(container.get("envFrom")):
            reference = source.get("configMapRef")
            name = reference.get("name") if isinstance(reference, dict) else None
            found = bundle.find("v1", "ConfigMap", function.namespace, str(name))
            if found is not None and found.mapping("data").get(variable) is not None:
                yield found.mapping("data")[variable]
