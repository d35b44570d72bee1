"""The command's entry point and its subcommands, each of which is imported only when it is run."""

from __future__ import annotations

import importlib
import os

import click

from darkroom.proxies import keep_loopback_direct

_COMMANDS = {
    "up": "darkroom.cli.up",
    "demo": "darkroom.cli.demo",
    "submit": "darkroom.cli.submit",
    "job": "darkroom.cli.job",
    "jobs": "darkroom.cli.jobs",
    "deadletters": "darkroom.cli.deadletters",
    "status": "darkroom.cli.status",
    "keys": "darkroom.cli.keys",
    "setup": "darkroom.cli.setup",
    "check": "darkroom.cli.check",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported only when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name]).command
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="darkroom")
def main() -> None:
    """Darkroom: an image pipeline of serverless functions that loses nothing.

    \b
    Try it:
      darkroom demo                                run the main job from start to end, in a few seconds
      darkroom up                                  run everything, until Ctrl-C
      darkroom submit picture.jpg resize --width 400 -o small.jpg
      darkroom status                              show functions, instances, backlog
      darkroom deadletters list                    show what was given up, to redrive or drop it
    """
    keep_loopback_direct(os.environ)
