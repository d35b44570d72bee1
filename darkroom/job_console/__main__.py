"""The console in a cluster: `python -m darkroom.job_console`. The application's pages alone, behind operators' keys.

Its variables are those of the functions, and CONSOLE_KEYS_FILE, CONSOLE_HOSTS, CONSOLE_API_URL, CONSOLE_API_KEY and
PORT (docs/console-jobs.md).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

import uvicorn
from starlette.applications import Starlette

from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import LogAudit
from darkroom.errors import SettingsError
from darkroom.job_console.attaching import SERVICE, pages_of_pod
from darkroom.job_console.console_settings import ConsoleSettings
from darkroom.serving.log import configure_logging

ENDS_WITHIN_S = 5
"""How long streams may take to end."""


def application(environment: Mapping[str, str]) -> Starlette:
    """Build the console of a pod. Raises SettingsError."""
    own = ConsoleSettings.load(environment)
    return console_application(
        access=Access(keys=own.keys, hosts=own.hosts),
        audit=LogAudit(),
        pages=pages_of_pod(environment, api=own.api_url, api_key=own.api_key),
    )


def main() -> None:
    # The audit log is lines of JSON, and so is what the application logs.
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    configure_logging(level=os.environ.get("LOG_LEVEL") or "info", service=SERVICE)
    try:
        console = application(os.environ)
    except SettingsError as exc:
        sys.exit(f"the console does not start: {exc}")
    uvicorn.run(
        console,
        host="0.0.0.0",  # noqa: S104 - a pod's only address is its own
        port=int(os.environ.get("PORT") or 8080),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=ENDS_WITHIN_S,
        server_header=False,
    )


if __name__ == "__main__":
    main()
