"""What OTEL_* say about whether traces are recorded. Everything else about them is the SDK's own reading.

OpenTelemetry's "Environment Variable Specification", with one difference that it allows: without an endpoint nothing is
sent, where the specification's default is a collector on localhost.
"""

from __future__ import annotations

from collections.abc import Mapping

from darkroom.serving.settings import SettingsError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
EXPORTER = "OTEL_TRACES_EXPORTER"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_ONLY_PROTOCOL = "http/protobuf"


def is_disabled(environment: Mapping[str, str]) -> bool:
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def traces_are_wanted(environment: Mapping[str, str]) -> bool:
    """Raises SettingsError for what is asked for and is not there."""
    exporter = environment.get(EXPORTER, "").strip().lower()
    has_endpoint = bool(environment.get(TRACES_ENDPOINT) or environment.get(ENDPOINT))
    if is_disabled(environment) or exporter == "none" or not has_endpoint:
        return False
    if exporter not in {"", "otlp"}:
        raise SettingsError(f"{EXPORTER}: must be otlp or none, was {exporter!r}")
    for name in _PROTOCOLS:
        protocol = environment.get(name, "").strip().lower()
        if protocol not in {"", _ONLY_PROTOCOL}:
            raise SettingsError(f"{name}: must be {_ONLY_PROTOCOL}, was {protocol!r}")
    return True
