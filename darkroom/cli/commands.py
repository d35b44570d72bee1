"""The subcommands, each of which is imported only when it is run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click

from darkroom.cli.extras import missing_extra
from darkroom.cli.failures import BROKEN_PIPE, as_exit_code

_COMMANDS = {
    "up": "darkroom.cli.up",
    "demo": "darkroom.cli.demo",
    "submit": "darkroom.cli.submit",
    "job": "darkroom.cli.job",
    "jobs": "darkroom.cli.jobs",
    "cancel": "darkroom.cli.cancel",
    "erase": "darkroom.cli.erase",
    "logs": "darkroom.cli.logs",
    "presets": "darkroom.cli.presets",
    "backfill": "darkroom.cli.backfill.command",
    "redrive": "darkroom.cli.redrive",
    "deadletters": "darkroom.cli.deadletters",
    "status": "darkroom.cli.status",
    "why": "darkroom.cli.why.command",
    "top": "darkroom.cli.top.command",
    "events": "darkroom.cli.events",
    "chaos": "darkroom.cli.chaos",
    "simulate": "darkroom.cli.simulate.command",
    "measure": "darkroom.cli.measure.command",
    "backup": "darkroom.cli.backup",
    "restore": "darkroom.cli.restore",
    "keys": "darkroom.cli.keys",
    "console-keys": "darkroom.cli.console_keys",
    "webhooks": "darkroom.cli.webhooks",
    "setup": "darkroom.cli.setup",
    "check": "darkroom.cli.check",
    "plan": "darkroom.cli.plan.command",
    "new": "darkroom.cli.new.command",
}


class _LazyGroup(click.Group):
    """A group whose commands are imported only when they are needed, and whose failures are told in one place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            command: click.Command = importlib.import_module(_COMMANDS[cmd_name]).command
        except ModuleNotFoundError as exc:
            raise click.ClickException(missing_extra(exc, f"darkroom {cmd_name}").removeprefix("Error: ")) from exc
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # click would end the process with 1, as if something had failed.
            raise click.exceptions.Exit(BROKEN_PIPE) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        raise SystemExit(
            as_exit_code(lambda: super(_LazyGroup, self).main(args, prog_name, complete_var, False, **extra))
        )


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nEnvironment:\n"
    "  DARKROOM_API_KEY    the API key of submit, job, cancel and erase, where keys are required\n"
    "  DARKROOM_URL        the API's address, instead of --url\n"
    "  DARKROOM_DATA       the folder of `darkroom up`, instead of --data\n"
    "  DARKROOM_TRACEBACK  1: show the Python traceback of an error\n"
    "  NO_COLOR            1: no colours",
)
@click.version_option(package_name="darkroom")
def command() -> None:
    """Darkroom: an image pipeline of serverless functions that loses nothing.

    \b
    Try it:
      darkroom demo                                run the main job from start to end, in a few seconds
      darkroom up                                  run everything, until Ctrl-C
      darkroom submit picture.jpg resize --width 400 -o small.jpg
      darkroom status                              show functions, instances, backlog, and what does not answer
      darkroom why                                 show what is wrong now, and what to do about it
      darkroom events send shop.order.placed       send an event; `darkroom events show ID` says what became of it
      darkroom job ID                              show why a job is where it is; `darkroom logs ID` its log lines
      darkroom deadletters list                    show what was given up, to redrive or drop it
      darkroom new project shop                    begin a project of your own; `darkroom new function` adds to it
    """
