"""The program of the console's process: `python -m darkroom.local.console PLAN PORT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvicorn

from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import FileAudit
from darkroom.console.extension import ConsolePages
from darkroom.console.keys import KeyFile
from darkroom.console.runtime import Runtime
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.console.plan import ConsolePlan
from darkroom.local.extension import Showing, load_extension

ENDS_WITHIN_S = 1
"""How long streams may take to end; without a limit, an open page would keep the process."""


def main(plan_file: str, port: str) -> None:
    plan = ConsolePlan.of(json.loads(Path(plan_file).read_text()))
    application = console_application(
        access=Access(keys=KeyFile(path=Path(plan.keys_file)) if plan.keys_file else None, hosts=plan.hosts),
        audit=FileAudit(path=Path(plan.audit_file)),
        runtime=Runtime(plan.admin),
        pages=_pages(plan),
    )
    uvicorn.run(
        application,
        host=LOOPBACK,
        port=int(port),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=ENDS_WITHIN_S,
        # The Host that the browser has sent is checked, and the runtime passes it on.
        server_header=False,
    )


def _pages(plan: ConsolePlan) -> ConsolePages | None:
    if plan.extension is None:
        return None
    extension = load_extension(plan.extension, Path(plan.project_root))
    return extension.console(plan.run) if isinstance(extension, Showing) else None


if __name__ == "__main__":
    main(*sys.argv[1:])
