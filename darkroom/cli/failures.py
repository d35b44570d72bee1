"""Turns every way in which a command can end into one sentence and an exit code.

0    done
1    it failed; the sentence says why
2    the command line is wrong
70   a fault in Darkroom itself; DARKROOM_TRACEBACK=1 shows where
130  Ctrl-C
141  whoever read the output has gone, as with `| head`
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from darkroom.cli.terminal import printable
from darkroom.errors import DarkroomError, SettingsError

FAILED = 1
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

TRACEBACK_VARIABLE = "DARKROOM_TRACEBACK"


def as_exit_code(run: Callable[[], Any]) -> int:
    """Run a command, write why it failed to standard error, and return its exit code."""
    _never_fail_to_encode()
    try:
        code = run()
        sys.stdout.flush()
    except SystemExit as exc:
        return _flushed(exc.code)
    except BaseException as exc:
        return _flushed(_tell(exc))
    return code if isinstance(code, int) else 0


def sentence_of(error: BaseException) -> str:
    """Return one sentence for an error that is not a fault in Darkroom; empty for one that is."""
    match error:
        case click.ClickException():
            return error.format_message()
        case DarkroomError():
            return f"{error.code}: {printable(error.detail)}"
        case SettingsError():
            return str(error)
        case UnicodeDecodeError():
            return f"a file is not UTF-8: byte {error.start} cannot be read ({error.reason})"
        case OSError():
            return _os_error_sentence(error)
        case MemoryError():
            return "there is not enough memory"
        case RecursionError():
            return "what was read is nested too deeply"
    return printable(error) if _is_of_the_client(error) else ""


def _is_of_the_client(error: BaseException) -> bool:
    """Only the commands that use the client import it, and the image in which `darkroom setup` runs has none."""
    module = sys.modules.get("darkroom.client.errors")
    return module is not None and isinstance(error, module.ClientError)


def _os_error_sentence(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    hint = _HINTS.get(error.errno or 0, "")
    if not names and error.errno in _WRITING:
        return f"the output could not be written: {reason}"
    return f"{' and '.join(names) + ': ' if names else ''}{reason}{hint}"


_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""Errors without a file's name are those of a stream that was open from the start."""


_HINTS = {
    errno.EACCES: "; check who owns it, or choose another folder",
    errno.EROFS: "; choose a folder that can be written to",
    errno.ENOSPC: "; make room, or choose a folder on another disk",
}


def _tell(error: BaseException) -> int:
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        click.echo(printable("".join(traceback.format_exception(error)), lines=True), err=True, nl=False)
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case click.Abort():
            # click raises it for Ctrl-C, and for a question without an answer.
            interrupted = isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
            return INTERRUPTED if interrupted else FAILED
        case BrokenPipeError():
            return BROKEN_PIPE
        case click.ClickException():
            _echo_error(_shown_by_click(error))
            return error.exit_code
    sentence = sentence_of(error)
    if sentence:
        _echo_error(f"Error: {sentence}")
        return FAILED
    _echo_error(
        f"Error: {type(error).__name__}: {error} - this is a fault in Darkroom; {TRACEBACK_VARIABLE}=1 shows where"
    )
    return INTERNAL


class _Shown(io.StringIO):
    def isatty(self) -> bool:
        """Keep colour codes, which click drops elsewhere: they are shown as escapes, not hidden."""
        return True


def _shown_by_click(error: click.ClickException) -> str:
    shown = _Shown()
    error.show(shown)
    return shown.getvalue().rstrip("\n")


def _echo_error(text: str) -> None:
    try:
        click.echo(printable(text, lines=True), err=True)
    except OSError:
        return  # Standard error is full or closed: the exit code is all that is left.


def _flushed(code: Any) -> int:
    """Flush the streams here rather than at the interpreter's end, which would write a traceback if that failed."""
    number = code if isinstance(code, int) else 0 if code is None else FAILED
    if isinstance(code, str):
        _echo_error(code)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        number = number or BROKEN_PIPE
        _discard_output()
    except OSError as exc:
        if number in {0, FAILED}:
            _echo_error(f"Error: {_os_error_sentence(exc)}")
        number = number or FAILED
        _discard_output()
    return number


def _discard_output() -> None:
    """Send what is left in the buffer to nowhere, so that the interpreter's own flush succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _never_fail_to_encode() -> None:
    """A terminal with a small character set shows other characters as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
