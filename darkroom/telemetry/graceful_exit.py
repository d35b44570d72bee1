"""Lets a uvicorn server that is stopped by SIGTERM exit normally, so that exit handlers run.

uvicorn drains and then sends itself the signal again with the default action, which ends the process at once: whatever
has not been sent by then is lost. gunicorn's own workers leave by `sys.exit`.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


def exit_normally_on_sigterm() -> None:
    """Replace uvicorn's SIGTERM handler. Does nothing off the main thread or where no uvicorn server is running."""
    if threading.current_thread() is not threading.main_thread():
        return
    server: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    # uvicorn documents `should_exit` as the way for a program to stop its server.
    if not hasattr(server, "should_exit"):
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
