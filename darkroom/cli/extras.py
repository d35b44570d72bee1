"""What to install when a library is missing. Standard library only: it is used when little else is there."""

from __future__ import annotations

_OURS = ("darkroom", "functions")


def missing_extra(error: ModuleNotFoundError, command: str) -> str:
    """Return a sentence that names the library, and the extra that has everything the command needs.

    Raises the error again if the missing module is one of Darkroom's own: then nothing that could be installed helps.
    """
    module = (error.name or "").partition(".")[0]
    if not module or module in _OURS:
        raise error
    return (
        f"Error: `{command}` needs the Python package {module!r}, which is not installed. It comes with Darkroom's "
        "extra `local`: pip install 'darkroom[local]', or in a checkout: pip install --editable '.[local]'"
    )
