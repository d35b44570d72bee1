"""Structured logs: one JSON object per line, with an action name and ids as fields.

No field is meant to hold a secret or a signed URL; what looks like one is redacted all the same. JSON escapes CR and
LF, so a client's value cannot forge a line.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

import structlog

from darkroom.events import tracing
from darkroom.redaction import redacted_value

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logging(*, level: str, **bound: Any) -> None:
    """Set up logging, once per process, at start. `bound` is in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_trace,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("action"),
            _without_secrets,
            # After redaction, because these fields hold no secrets, and a colon in a time would cause a full search.
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**bound)


def _with_trace(_logger: Any, _method: str, line: Any) -> Any:
    """Add the ids of the current span; recorded or not, they find the other lines of the same job."""
    context = tracing.current()
    if context is not None:
        line["trace_id"], line["span_id"] = context.trace_id, context.span_id
    return line


def _without_secrets(_logger: Any, _method: str, line: Any) -> Any:
    """Redact secrets. Runs after all other processors, so that tracebacks are covered too."""
    return redacted_value(line)


def log_fields(**fields: Any) -> AbstractContextManager[None]:
    """Add these fields to every line of the block, whoever writes it."""
    return structlog.contextvars.bound_contextvars(**fields)


def get_logger() -> Any:
    return structlog.get_logger()
