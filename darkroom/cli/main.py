"""The command's entry: the list of its subcommands, each imported only when it is run."""

from __future__ import annotations

import importlib

import click

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
    """`darkroom --help` and each command import only what they need."""

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
      darkroom demo                                the main job, start to end, in a few seconds
      darkroom up                                  everything, until Ctrl-C
      darkroom submit cat.jpg resize --width 400 -o small.jpg
      darkroom status                              functions, instances, backlog
      darkroom deadletters list                    what was given up, to be redriven or dropped
    """
