"""Knative Services: what slows a start, makes the autoscaler panic, or is refused by the webhook."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.check.bundle import Bundle, whole
from darkroom.check.finding import Severity
from darkroom.check.rule import Problem, rule
from darkroom.manifests import serving as model

_AUTOSCALING = "autoscaling.knative.dev/"
_UTILISATION = f"{_AUTOSCALING}target-utilization-percentage"
GOOD = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    metadata:
      annotations: {autoscaling.knative.dev/target-utilization-percentage: "100"}
    spec:
      containerConcurrency: 1
      containers:
        - image: example.com/resize:1.0.0
          env: [{name: A, value: b}]
"""


@rule(
    "concurrency-panic",
    Severity.WARNING,
    "a concurrency of 1 or 2 with a utilisation below 100 %",
    on_the_cluster="The target is containerConcurrency x 70 %: at 1 that is 0.7, so a single steady request wants two "
    "instances, and panics at once.",
    mend='autoscaling.knative.dev/target-utilization-percentage: "100".',
    bad=GOOD.replace('target-utilization-percentage: "100"', 'min-scale: "0"'),
    good=GOOD,
)
def panic(bundle: Bundle) -> Iterator[Problem]:
    for function in bundle.functions:
        concurrency = whole(function.get("spec", "template", "spec", "containerConcurrency"))
        annotations = function.mapping("spec", "template", "metadata", "annotations")
        utilisation = whole(annotations.get(_UTILISATION, 70)) or 70
        if concurrency in {1, 2} and utilisation < 100:
            path = ("spec", "template", "spec", "containerConcurrency")
            target = concurrency * utilisation / 100
            yield function, path, f"{function.name} has a target of {target:g} requests an instance"


@rule(
    "slow-probe",
    Severity.WARNING,
    "a readiness probe has a period",
    on_the_cluster="With periodSeconds unset queue-proxy asks every 50 ms until the function answers; with "
    "it set, a cold start waits for the next whole second.",
    mend="Remove periodSeconds, and with it timeoutSeconds and failureThreshold; or the probe: the default one is TCP.",
    bad=GOOD + "          readinessProbe: {periodSeconds: 10, httpGet: {path: /}}\n",
    good=GOOD,
)
def probe(bundle: Bundle) -> Iterator[Problem]:
    for function in bundle.functions:
        for path, container in function.containers():
            found = container.get("readinessProbe")
            if isinstance(found, dict) and found.get("periodSeconds"):
                message = f"{function.name} is asked every {found['periodSeconds']} s whether it is ready"
                yield function, (*path, "readinessProbe", "periodSeconds"), message


@rule(
    "annotation-misplaced",
    Severity.ERROR,
    "an autoscaling annotation stands on the Service",
    on_the_cluster="The webhook refuses it: these annotations are the revision's.",
    mend="Move it to spec.template.metadata.annotations.",
    bad=GOOD.replace("{name: resize}", '{name: resize, annotations: {autoscaling.knative.dev/max-scale: "3"}}'),
    good=GOOD,
)
def misplaced(bundle: Bundle) -> Iterator[Problem]:
    for function in bundle.functions:
        for name in function.mapping("metadata", "annotations"):
            if str(name).startswith(_AUTOSCALING):
                yield function, ("metadata", "annotations", name), f"{name} belongs to the template of {function.name}"


@rule(
    "refused-field",
    Severity.ERROR,
    "a field that Serving refuses",
    on_the_cluster="The webhook refuses the Service, unless the feature was turned on for the whole cluster.",
    mend="Do without it, or turn the feature on in config-features and say so beside the manifest.",
    bad=GOOD.replace(
        "      containerConcurrency: 1\n", "      containerConcurrency: 1\n      nodeSelector: {disk: ssd}\n"
    ),
    good=GOOD,
)
def refused(bundle: Bundle) -> Iterator[Problem]:
    of_pod, of_container = (
        model.RevisionSpec.refused,
        {name: why for name, why in model.Container.refused.items() if why.startswith("Serving")},
    )
    for function in bundle.functions:
        spec = function.get("spec", "template", "spec")
        for name in sorted(set(spec) & set(of_pod)) if isinstance(spec, dict) else ():
            yield function, ("spec", "template", "spec", name), f"{name}: {of_pod[name]}"
        for path, container in function.containers():
            for name in sorted(set(container) & set(of_container)):
                yield function, (*path, name), f"{name}: {of_container[name]}"
        for path, volume in function.items("spec", "template", "spec", "volumes"):
            for name in sorted(set(volume) & set(model.Volume.refused)):
                yield function, (*path, name), f"{name}: {model.Volume.refused[name]}"


@rule(
    "reserved-variable",
    Severity.ERROR,
    "an environment variable that Knative sets",
    on_the_cluster="The webhook refuses PORT, K_SERVICE, K_REVISION and K_CONFIGURATION; a K_SINK of one's own is "
    "overwritten by a SinkBinding, or points to a Broker that moved.",
    mend="Remove it; for K_SINK write a SinkBinding.",
    bad=GOOD.replace("name: A", "name: K_SINK"),
    good=GOOD,
)
def reserved(bundle: Bundle) -> Iterator[Problem]:
    for function in bundle.functions:
        for path, container in function.containers():
            for index, variable in enumerate(container.get("env") or ()):
                name = str(variable.get("name")) if isinstance(variable, dict) else ""
                if name == "PORT" or name.startswith("K_"):
                    yield function, (*path, "env", index), f"{name} of {function.name} is Knative's"
