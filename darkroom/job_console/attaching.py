"""Makes the pages from an environment: that of the functions in a `darkroom up`, or of the console's own pod."""

from __future__ import annotations

from collections.abc import Mapping

from darkroom.job_console.log_lines import ReadLogLines
from darkroom.job_console.pages import JobPages
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings

NEEDS = frozenset({"REDIS_URL", "NATS_URL", "BUCKET_NAME"})
SERVICE = "console"


def pages_of_run(
    environment: Mapping[str, str], *, broker: str, api: str | None, read_log: ReadLogLines | None
) -> JobPages:
    """Make the pages for a run of the local runtime. Raises SettingsError."""
    own = {"K_SERVICE": SERVICE, "K_SINK": broker}
    settings = Settings.load(needs=NEEDS, environment={**environment, **own})
    return JobPages(Resources(settings), read_log=read_log, api_url=api)


def pages_of_pod(environment: Mapping[str, str], *, api: str | None, api_key: str | None) -> JobPages:
    """Make the pages for a pod, whose logs are the cluster's. Raises SettingsError."""
    settings = Settings.load(needs=NEEDS, environment=environment)
    return JobPages(Resources(settings), api_url=api, api_key=api_key)
