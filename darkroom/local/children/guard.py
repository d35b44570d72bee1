"""The launcher through which every child process is started, so that none outlives the one that started it.

A supervisor that is killed with SIGKILL can clean up nothing; the kernel can. Linux sends a process the signal it asked
for with PR_SET_PDEATHSIG when its parent dies. The setting survives execve and is lost at fork, hence two modes:

    python guard.py PARENT_PID exec PROGRAM [ARGUMENT...]     becomes a native server
    python guard.py PARENT_PID python MODULE [ARGUMENT...]    runs a Python module in this interpreter, and gives
                                                              whatever that forks (gunicorn's workers) the same setting

Standard library only and few imports: every cold start of a function pays for this file.
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
    """From now on this process is killed when `parent_pid` dies; if it has died already, at once."""
    if not sys.platform.startswith("linux"):
        sys.stderr.write(
            "guard: only Linux kills a child with its parent; stop the runtime with Ctrl-C, never kill -9\n"
        )
        return
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    # The parent may have died between starting us and the call above; then nobody would ever signal us.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def guard_forks() -> None:
    """Every process that this one forks, and those that they fork, dies with its own parent."""
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
