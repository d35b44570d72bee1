"""A small runtime with three servers, two functions and a program with a child, which a test can kill: it is a process.

Prints `up` once all of it runs. Arguments: the project's folder.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from darkroom.local.children import servers, supervision
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.servers import S3Credentials, ServerHome
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.manifests.revision import Revision
from tests.integration.local.functions import GREETING, Workshop
from tests.integration.local.waiting import Reports, until


async def main(root: Path) -> None:
    reports = Reports()
    logs = LogDirectory(root / "logs")
    home = ServerHome(data_dir=root / "data", logs=logs, report=reports)
    credentials = S3Credentials(access_key="darkroom", secret_key="a-secret-of-this-test")
    await supervision.start_all(
        [
            servers.nats_server(home),
            servers.redis_server(home),
            servers.s3_server(home, credentials=credentials, bucket="pictures"),
        ]
    )
    workshop = Workshop(root=root, logs=logs, reports=reports, limit=InstanceLimit(4))
    workshop.write("greet", GREETING.format(greeting="hello"))
    pool = workshop.pool(workshop.revision("greet", env={"WORKERS": "2"}))
    pool.scale_to(2)
    script = root / "shell" / "start.sh"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nsleep 300 &\n{sys.executable} -m http.server --bind 127.0.0.1 $PORT\n")
    script.chmod(0o755)
    (script.parent / "Procfile").write_text("web: ./start.sh\n")
    shell = workshop.pool(Revision(namespace="default", service="shell", number=1, image="shell", env={}, timeout_s=30))
    shell.scale_to(1)
    await until(lambda: len(pool.ready) == 2 and len(shell.ready) == 1, f"all are ready: {reports.all}")
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
