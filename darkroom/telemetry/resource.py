"""The OpenTelemetry resource that describes the sender of spans and metrics. Imported only when telemetry is on."""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

import darkroom
from darkroom.telemetry import names
from darkroom.telemetry.workers import worker_name


def resource_of(service: str, *, instance: bool = True) -> Resource:
    """Describe this process as a resource. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults.

    Without `instance`, the resource is the service as a whole, for values that any of its processes could report.
    """
    own = {
        names.SERVICE_NAME: service,
        names.SERVICE_NAMESPACE: "darkroom",
        names.SERVICE_VERSION: darkroom.__version__,
    }
    if "K_REVISION" in os.environ:
        own |= {names.FAAS_NAME: service, names.FAAS_VERSION: os.environ["K_REVISION"]}
    if instance:
        own |= {names.SERVICE_INSTANCE: worker_name()}
    if instance and "K_REVISION" in os.environ:
        own |= {names.FAAS_INSTANCE: worker_name()}
    return Resource(own).merge(OTELResourceDetector().detect())
