from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from darkroom.cli.commands import command

Darkroom = Callable[..., Result]


@pytest.fixture
def darkroom() -> Darkroom:
    """Runs the command in this process, with its output captured: not a terminal."""

    def run(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(command, list(arguments), input=input)

    return run
