"""The command's entry point. It imports only the standard library before it knows that the rest is installed."""

from __future__ import annotations

import os
import sys

from darkroom.cli.extras import missing_extra
from darkroom.proxies import keep_loopback_direct


def main() -> None:
    """Run the command with the process's arguments."""
    _open_closed_streams()
    keep_loopback_direct(os.environ)
    try:
        # Imported only here, because an installation without the extra `local` has no click.
        from darkroom.cli.commands import command
    except ModuleNotFoundError as exc:
        sys.exit(missing_extra(exc, "darkroom"))
    except KeyboardInterrupt:
        sys.exit(130)
    command.main(prog_name="darkroom")


def _open_closed_streams() -> None:
    """Open closed standard streams as /dev/null: else the next file that is opened would take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
            setattr(sys, name, stream)
