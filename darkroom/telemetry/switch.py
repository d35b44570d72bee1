"""Decides from OTEL_* whether traces are recorded and metrics pushed. The SDK itself reads the other OTEL_* variables.

Follows OpenTelemetry's "Environment Variable Specification", with one difference that it allows: without an endpoint
nothing is sent, whereas the specification's default is a collector on localhost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from darkroom.errors import SettingsError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_ONLY_PROTOCOL = "http/protobuf"

Signal = Literal["TRACES", "METRICS"]


def is_disabled(environment: Mapping[str, str]) -> bool:
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def traces_are_wanted(environment: Mapping[str, str]) -> bool:
    """Report whether traces are on. Raises SettingsError for an exporter or protocol that is not supported."""
    return _is_wanted("TRACES", environment)


def metrics_are_wanted(environment: Mapping[str, str]) -> bool:
    """Report whether metrics are on. Raises SettingsError for an exporter or protocol that is not supported."""
    return _is_wanted("METRICS", environment)


def _is_wanted(signal: Signal, environment: Mapping[str, str]) -> bool:
    exporter_name = f"OTEL_{signal}_EXPORTER"
    exporter = environment.get(exporter_name, "").strip().lower()
    has_endpoint = bool(environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environment.get(ENDPOINT))
    if is_disabled(environment) or exporter == "none" or not has_endpoint:
        return False
    if exporter not in {"", "otlp"}:
        raise SettingsError(f"{exporter_name}: must be otlp or none, was {exporter!r}")
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", PROTOCOL):
        protocol = environment.get(name, "").strip().lower()
        if protocol not in {"", _ONLY_PROTOCOL}:
            raise SettingsError(f"{name}: must be {_ONLY_PROTOCOL}, was {protocol!r}")
    return True
