"""SinkBindings: each gives its Service a new revision that has K_SINK and K_CE_OVERRIDES.

On a cluster, a Service's first revision starts before its SinkBinding has injected anything, and recreating a Broker
removes K_SINK again. The same applies here: the first revision has no K_SINK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from darkroom.manifests import Destination, Manifests, with_namespace
from darkroom.manifests.references import subjects
from darkroom.manifests.revision import Revision, ServiceKey


@dataclass(frozen=True, kw_only=True)
class Binding:
    sink: Destination
    """A reference in it has its namespace."""
    extensions: Mapping[str, str] | None
    """The extensions in `ceOverrides`; None if the SinkBinding has none."""

    def variables(self, sink_url: str) -> dict[str, str]:
        """Return the variables to inject.

        Without ceOverrides, K_CE_OVERRIDES is the empty string (knative/eventing,
        pkg/apis/sources/v1/sinkbinding_lifecycle.go).
        """
        overrides = "" if self.extensions is None else json.dumps({"extensions": dict(self.extensions)})
        return {"K_SINK": sink_url, "K_CE_OVERRIDES": overrides}


def bindings(manifests: Manifests) -> dict[ServiceKey, Binding]:
    """Return the bindings by their Service's namespace and name."""
    by_service: dict[ServiceKey, Binding] = {}
    for binding in manifests.sink_bindings:
        spec = binding.spec
        bound = Binding(
            sink=with_namespace(spec.sink, binding.namespace),
            extensions=None if spec.ce_overrides is None else spec.ce_overrides.extensions,
        )
        by_service |= dict.fromkeys(subjects(binding, manifests.resources), bound)
    return by_service


def with_binding(revision: Revision, binding: Binding, sink_url: str) -> Revision:
    """Return the next revision, in which the binding's variables replace the manifest's, as the controller does."""
    env = {**revision.env, **binding.variables(sink_url)}
    return replace(revision, number=revision.number + 1, env=env)
