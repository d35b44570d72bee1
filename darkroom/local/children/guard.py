"""The launcher of every child process, which ensures that no child outlives the process that started it.

A supervisor killed with SIGKILL cannot clean up, but the kernel can. When a process dies, Linux sends its children the
signal that they requested with PR_SET_PDEATHSIG. The setting survives execve but not fork, hence two modes:

    python guard.py PARENT_PID exec PROGRAM [ARGUMENT...]     becomes a native server
    python guard.py PARENT_PID python MODULE [ARGUMENT...]    runs a Python module in this interpreter, and applies the
                                                              setting to everything it forks (gunicorn's workers)

It uses only the standard library and few imports, because every cold start of a function pays for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
USAGE = "usage: guard.py PARENT_PID exec|python PROGRAM [ARGUMENT...]"

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> None:
    if len(arguments) < 3:
        sys.exit(USAGE)
    parent, mode, program, *rest = arguments
    die_with(int(parent))
    if mode == "exec":
        os.execv(program, [program, *rest])  # noqa: S606 - becoming that program is what a launcher is for
    elif mode == "python":
        guard_forks()
        run_module(program, rest)
    else:
        sys.exit(f"unknown mode {mode!r}; {USAGE}")


def die_with(parent_pid: int) -> None:
    """Have this process killed when `parent_pid` dies, or at once if it has already died."""
    if not sys.platform.startswith("linux"):
        sys.stderr.write(
            "guard: only Linux kills a child with its parent; stop the runtime with Ctrl-C, never kill -9\n"
        )
        return
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    # If the parent died between starting us and the call above, nobody would ever signal us.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def guard_forks() -> None:
    """Have every process forked from this one, directly or indirectly, die with its own parent."""
    forking_pid = os.getpid()

    def guard_forked_child() -> None:
        nonlocal forking_pid
        die_with(forking_pid)
        forking_pid = os.getpid()

    os.register_at_fork(after_in_child=guard_forked_child)


def run_module(module: str, arguments: Sequence[str]) -> None:
    import runpy

    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
