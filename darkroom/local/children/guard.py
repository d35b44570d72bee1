"""The launcher of every child process, which ensures that no child outlives the process that started it.

A supervisor killed with SIGKILL cannot clean up, but the kernel can. When a process dies, Linux sends its children the
signal that they requested with PR_SET_PDEATHSIG. The setting survives execve but not fork, hence several modes:

    python guard.py PARENT_PID exec PROGRAM [ARGUMENT...]     becomes a native server
    python guard.py PARENT_PID exec-as UID:GID PROGRAM [...]  becomes one that does not run as root
    python guard.py PARENT_PID python MODULE [ARGUMENT...]    runs a Python module in this interpreter, and applies the
                                                              setting to everything it forks (gunicorn's workers)
    python guard.py PARENT_PID group PROGRAM [ARGUMENT...]    stays the parent of a program of any language, and kills
                                                              its whole process group when PARENT_PID dies

It uses only the standard library and few imports, because every cold start of a function pays for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION = 0x20080522
USAGE = "usage: guard.py PARENT_PID exec|exec-as UID:GID|python|group PROGRAM [ARGUMENT...]"
PARENT_DIED = signal.SIGUSR2
"""What the kernel sends the guard of a group. SIGKILL would leave the program's children behind."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
NOT_STARTED = 127
"""A shell's exit status for a program that it cannot start."""

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> None:
    if len(arguments) < 3:
        sys.exit(USAGE)
    parent, mode, program, *rest = arguments
    if mode == "group":
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        # Set before the kernel may send it.
        signal.signal(PARENT_DIED, lambda *_: os.killpg(0, signal.SIGKILL))
    if mode == "exec-as":
        # First, because a change of identity makes the kernel forget the signal below.
        uid, _, gid = program.partition(":")
        mode, (program, *rest) = "exec", rest
        become(int(uid), int(gid), program)
    die_with(int(parent), PARENT_DIED if mode == "group" else signal.SIGKILL)
    if mode == "exec":
        os.execv(program, [program, *rest])  # noqa: S606 - becoming that program is what a launcher is for
    elif mode == "python":
        guard_forks()
        run_module(program, rest)
    elif mode == "group":
        sys.exit(run_group([program, *rest]))
    else:
        sys.exit(f"unknown mode {mode!r}; {USAGE}")


def die_with(parent_pid: int, number: int = signal.SIGKILL) -> None:
    """Have this process signalled when `parent_pid` dies, and kill it at once if that has already died."""
    if not sys.platform.startswith("linux"):
        sys.stderr.write(
            "guard: only Linux kills a child with its parent; stop the runtime with Ctrl-C, never kill -9\n"
        )
        return
    if _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    # If the parent died between starting us and the call above, nobody would ever signal us.
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def become(uid: int, gid: int, program: str) -> None:
    """Give up root's rights for those of another user.

    If that user cannot pass through a folder above the program or the working directory, such as /root, the program
    keeps the right to read files and to pass through folders. It has no right to write to those of others.
    """
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    _libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    if not (os.access(os.getcwd(), os.X_OK) and os.access(program, os.X_OK)):
        _keep_capability(CAP_DAC_READ_SEARCH)


def _keep_capability(number: int) -> None:
    """Keep one capability, also in the program that this process becomes (capabilities(7), ambient set)."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    mask = 1 << number
    # Effective, permitted, inheritable; the second three are for capabilities from 32 on.
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if _libc.capset(header, data) != 0 or _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0:
        sys.stderr.write(
            f"guard: user {os.getuid()} cannot reach {os.getcwd()} or the program, and may not be given the right to: "
            f"{os.strerror(ctypes.get_errno())}\n"
        )


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


def run_group(argv: list[str]) -> int:
    """Run a program as a child in this process' own group, and end as it ends. Returns its exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        # Python ignores SIGPIPE and SIGXFSZ, which the program would inherit.
        pid = os.posix_spawn(
            argv[0], argv, os.environ, setsigmask=[], setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, *PASSED_ON]
        )
    except OSError as exc:
        sys.stderr.write(f"{argv[0]} cannot be started: {exc.strerror}\n")
        return NOT_STARTED
    for number in PASSED_ON:
        signal.signal(number, lambda received, _: os.kill(pid, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _end_by(-code)
    return code


def _end_by(number: int) -> None:
    """End by the signal that ended the program, so that the runtime sees the same."""
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main(sys.argv[1:])
