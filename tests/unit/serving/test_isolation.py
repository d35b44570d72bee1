"""How a function's process limits itself before it renders users' pictures."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from darkroom.serving.isolation import be_batch_work
be_batch_work()
if os.fork() == 0:
    print(os.sched_getscheduler(0))
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sched(7) is Linux'")
def test_a_worker_that_is_forked_later_interrupts_nobody_when_it_wakes() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == [str(os.SCHED_BATCH)]
