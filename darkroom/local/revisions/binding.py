"""What a SinkBinding does to a Service: a new revision of it that has K_SINK and K_CE_OVERRIDES.

On a cluster the first revision of a Service starts before its SinkBinding has injected anything, and a Broker that is
made anew takes K_SINK away again. So it is here: the first revision has no K_SINK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from darkroom.manifests import Destination, Manifests, with_namespace
from darkroom.manifests.revision import Revision


@dataclass(frozen=True, kw_only=True)
class Binding:
    sink: Destination
    """A reference in it bears its namespace."""
    extensions: Mapping[str, str] | None
    """Of `ceOverrides`; None where the SinkBinding has none."""

    def variables(self, sink_url: str) -> dict[str, str]:
        """A SinkBinding without ceOverrides sets K_CE_OVERRIDES to the empty string (knative/eventing,
        pkg/apis/sources/v1/sinkbinding_lifecycle.go)."""
        overrides = "" if self.extensions is None else json.dumps({"extensions": dict(self.extensions)})
        return {"K_SINK": sink_url, "K_CE_OVERRIDES": overrides}


def bindings(manifests: Manifests) -> dict[tuple[str, str], Binding]:
    """By the bound Service's namespace and name."""
    found = {}
    for binding in manifests.sink_bindings:
        spec = binding.spec
        found[spec.subject.namespace or binding.namespace, spec.subject.name] = Binding(
            sink=with_namespace(spec.sink, binding.namespace),
            extensions=None if spec.ce_overrides is None else spec.ce_overrides.extensions,
        )
    return found


def bound(revision: Revision, binding: Binding, sink_url: str) -> Revision:
    """The revision that follows: the binding's variables win over the manifest's, as the controller replaces them."""
    env = {**revision.env, **binding.variables(sink_url)}
    return replace(revision, number=revision.number + 1, env=env)
