"""Stops one picture from exhausting memory or time for others.

gunicorn's timeout kills a worker that overruns JOB_TIMEOUT (an AVIF encode cannot be interrupted). Also a worker's
address space is bounded: a picture that requests more is refused memory and fails alone, at the cost of one attempt.
The number of glibc arenas and when memory is returned (MALLOC_*) must be set in the environment before the process
starts, so they are defined in the manifests; libvips' own threads and cache are set in `darkroom.imaging.vips`.
"""

from __future__ import annotations

import math
import os
import resource
import sys

from darkroom.serving.log import get_logger

log = get_logger()


def bound_memory_of_workers(max_bytes: int | None) -> None:
    """Limit the address space of every process forked from now on; None leaves it unlimited.

    This affects gunicorn's workers. Its master, which imports the functions and calls this, is not limited.
    """
    if max_bytes is None:
        return

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))

    os.register_at_fork(after_in_child=bound)


def configure_workers(*, processes: int | None, job_timeout_s: float) -> None:
    """Set how many processes do jobs, and after how long gunicorn kills one that is at the same job.

    functions-framework reads these variables when it makes its server, after it has executed the function's module.
    gunicorn counts whole seconds, and its timeout ends a request only where a process has no threads.
    """
    os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = str(math.ceil(job_timeout_s))
    os.environ["THREADS"] = "1"
    if processes is not None:
        os.environ["WORKERS"] = str(processes)


def yield_to_others(niceness: int) -> None:
    """Lower the priority of this process and its forks: where the processor is short, others get it first."""
    os.nice(niceness)


def be_batch_work() -> None:
    """Stop this process and its forks from preempting others when they wake (sched(7), SCHED_BATCH).

    A dozen renders that take turns every few milliseconds evict each other's pictures from the caches, and delay the
    processes that bring them work.
    """
    if sys.platform != "linux":
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as exc:
        log.info("scheduling.unchanged", error=str(exc))
