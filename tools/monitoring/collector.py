"""The OpenTelemetry collector's configuration: functions push to it, Prometheus scrapes it, it forwards traces.

Functions that scale to zero cannot be scraped, so they push; and they never wait for the receiver. The Deployment, its
Service and its network policies are in knative/components/monitoring, written by hand. The configuration is for the
contrib distribution, since no smaller one has the redaction, transform and httpcheck parts.
"""

from __future__ import annotations

from typing import Any

OTLP_GRPC_PORT = 4317
OTLP_HTTP_PORT = 4318
PROMETHEUS_PORT = 8889
HEALTH_PORT = 13133
NATS_HEALTH = "http://nats-headless.nats-io.svc.cluster.local:8222/healthz"
"""The health of whichever server the name resolves to, also one that is not ready."""

_SECRET_KEYS = (
    "(?i).*authorization.*",
    "(?i).*cookie.*",
    "(?i).*(api[._-]?key|secret|password|credential).*",
)
_SECRET_VALUES = (
    # An API key of ours, wherever it appears.
    "drk_[A-Za-z0-9_-]+",
    "(?i)bearer [^ ]+",
    # The parts that make a signed URL valid.
    "X-Amz-(Signature|Credential|Security-Token)=[^& ]+",
    # User and password in a URL.
    "://[^/@ ]+:[^/@ ]+@",
)


def configuration() -> dict[str, Any]:
    return {
        "receivers": _receivers(),
        "processors": _processors(),
        "exporters": _exporters(),
        "extensions": {"health_check": {"endpoint": f"${{env:POD_IP}}:{HEALTH_PORT}"}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {
                "metrics": {
                    "receivers": ["otlp", "httpcheck", "redis"],
                    "processors": ["memory_limiter", "transform/health-check", "redaction", "batch"],
                    "exporters": ["prometheus"],
                },
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "redaction", "batch"],
                    "exporters": ["otlp"],
                },
            },
            # To its own log only, where what it drops is counted.
            "telemetry": {"metrics": {"level": "none"}},
        },
    }


def _receivers() -> dict[str, Any]:
    return {
        "otlp": {
            "protocols": {
                "grpc": {"endpoint": f"${{env:POD_IP}}:{OTLP_GRPC_PORT}"},
                "http": {"endpoint": f"${{env:POD_IP}}:{OTLP_HTTP_PORT}"},
            }
        },
        "httpcheck": {"collection_interval": "15s", "targets": [{"endpoint": NATS_HEALTH, "method": "GET"}]},
        # As the user that may ask for figures and for nothing else. Where Redis is somebody else's, the Deployment's
        # variables say where; where it does not answer, there is a line in the log and no figure.
        "redis": {
            "endpoint": "${env:REDIS_ENDPOINT}",
            "username": "exporter",
            "password": "${env:REDIS_EXPORTER_PASSWORD}",
            "collection_interval": "15s",
            "tls": {"insecure": "${env:REDIS_INSECURE}", "ca_file": "${env:REDIS_CA_FILE}"},
            "metrics": {"redis.maxmemory": {"enabled": True}},
        },
    }


def _processors() -> dict[str, Any]:
    return {
        # First, to refuse data rather than be killed. A share of the container's memory limit.
        "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 25},
        "transform/health-check": {
            "error_mode": "ignore",
            "metric_statements": [
                # Otherwise the series of the last good answer would continue beside that of the bad one.
                'delete_key(datapoint.attributes, "http.status_code") where metric.name == "httpcheck.status"',
            ],
        },
        "redaction": {
            "allow_all_keys": True,
            "blocked_key_patterns": list(_SECRET_KEYS),
            "blocked_values": list(_SECRET_VALUES),
            "summary": "silent",
        },
        "batch": {"timeout": "1s", "send_batch_size": 1024, "send_batch_max_size": 2048},
    }


def _exporters() -> dict[str, Any]:
    return {
        "prometheus": {
            "endpoint": f"${{env:POD_IP}}:{PROMETHEUS_PORT}",
            # The series of an instance that scaled to zero, or of a function that no longer reports, expires after
            # this.
            "metric_expiration": "2m",
            "translation_strategy": "UnderscoreEscapingWithSuffixes",
        },
        "otlp": {
            "endpoint": "${env:TRACES_ENDPOINT}",
            "tls": {"insecure": "${env:TRACES_INSECURE}"},
            # Traces are worth a minute's wait, not unlimited memory.
            "retry_on_failure": {"max_elapsed_time": "60s"},
            "sending_queue": {"queue_size": 1000},
        },
    }
