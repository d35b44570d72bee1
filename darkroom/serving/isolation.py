"""One picture cannot take its process over its memory, nor its neighbours with it. Time is gunicorn's part.

gunicorn's timeout kills a worker that overruns JOB_TIMEOUT (an AVIF encode does not stop when asked). Here a worker's
address space is bounded: what asks for more is refused memory and dies alone, at the cost of one attempt. How many
arenas glibc keeps and when it gives memory back (MALLOC_*) must be in the environment before the process starts, so it
stands in the manifests; libvips' own threads and cache are `darkroom.imaging.vips`'.
"""

from __future__ import annotations

import os
import resource
import sys

from darkroom.serving.log import get_logger

log = get_logger()


def bound_memory_of_workers(max_bytes: int | None) -> None:
    """Every process forked from now on has at most this much address space; None leaves them alone.

    gunicorn's workers, that is: its master, which imports the functions and calls this, stays as it is.
    """
    if max_bytes is None:
        return

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))

    os.register_at_fork(after_in_child=bound)


def be_batch_work() -> None:
    """This process and its forks do not interrupt others when they wake (sched(7), SCHED_BATCH): a dozen renders that
    take turns every few milliseconds drive each other's pictures out of the caches, and hold up who brings them work.
    """
    if sys.platform != "linux":
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as exc:
        log.info("scheduling.unchanged", error=str(exc))
