"""A resize for the tests of faults: it can be told to be slow, to crash its process, or to hang out of signals' reach.

It stands in for functions/resize/main.py through a copy of the manifests; production code knows nothing of it. What it
is told stands in files of FAULTS_FOLDER, so that it can change while it runs.
"""

import hashlib
import os
import signal
import time
from pathlib import Path

from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.imaging import Rendition
from darkroom.serving import Job, Picture, event_function
from tests.faults.orders import HANGING_WIDTH, KILLING_WIDTH, SLOW_WIDTH

_FOLDER = Path(os.environ["FAULTS_FOLDER"])


@event_function("dev.darkroom.resize.requested")
def resize(job: Job[ResizeParameters], picture: Picture) -> Rendition:
    width = job.parameters.width
    if width == KILLING_WIDTH and (_FOLDER / "deadly").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if width == HANGING_WIDTH and (_FOLDER / "deadly").exists():
        # In C, without the interpreter lock, as libvips is: no signal handler of Python's runs before it is done.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
    if width == SLOW_WIDTH:
        began = time.monotonic()
        # Read again and again: who waits for it to be slow may have seen enough.
        while time.monotonic() - began < float((_FOLDER / "slow_s").read_text()):
            time.sleep(0.02)
    return picture.render(job.parameters)
