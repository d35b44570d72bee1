"""Lets a server that was told to end by SIGTERM end like any program, so that what is registered for the exit is run.

uvicorn drains, and then sends itself the signal once more, with the default action: the process is gone at once, and so
is what was not sent yet. gunicorn's own workers leave by `sys.exit`.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


def end_as_programs_do() -> None:
    """For the thread and the time in which the server runs; without effect where no uvicorn does."""
    if threading.current_thread() is not threading.main_thread():
        return
    server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    # How uvicorn documents that a server is stopped by the program around it.
    if not hasattr(server, "should_exit"):
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
