"""All that can be wrong with any project, from the runtime's status document (`GET /status`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkroom.diagnosis.backlogs import Backlogs, backlog_findings
from darkroom.diagnosis.finding import Finding, by_harm
from darkroom.diagnosis.functions import function_findings
from darkroom.diagnosis.servers import server_findings
from darkroom.diagnosis.surroundings import disk_findings, left_out_findings
from darkroom.diagnosis.triggers import trigger_findings


def platform_findings(status: Mapping[str, Any], now: float, earlier: Sequence[Backlogs] = ()) -> list[Finding]:
    """Return what is wrong, the most harmful first. `now` is in seconds since the epoch; `earlier` is what was looked
    at before, oldest first, from which it follows whether a backlog grows.
    """
    return by_harm(
        [
            *server_findings(status),
            *function_findings(status, now),
            *trigger_findings(status, now),
            *backlog_findings(status, now, earlier),
            *disk_findings(status),
            *left_out_findings(status),
        ]
    )
