"""`darkroom events`: send events to the running `darkroom up`, follow them, ask what became of one, send them again.

The commands speak to the Broker's ingress and to the record at the admin address. They know nothing of pictures.
"""

from __future__ import annotations

import importlib

import click

_COMMANDS = {
    "send": "darkroom.cli.events.send",
    "tail": "darkroom.cli.events.tail",
    "show": "darkroom.cli.events.show",
    "replay": "darkroom.cli.events.replay",
    "export": "darkroom.cli.events.export",
    "import": "darkroom.cli.events.importing",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name]).command
        return command


@click.command("events", cls=_Group)
def command() -> None:
    """Send events, and see what became of each.

    \b
    The running `darkroom up` keeps a record of what happens to events, for a day or 64 MiB.
      darkroom events send shop.order.placed --data '{"order": 7}'
      darkroom events show ID                      which Triggers took it, and what their subscribers answered
      darkroom events tail                         the same, live
      darkroom events replay ID                    send it again
      darkroom events replay --type 'shop.*' --since 10m --to warehouse
      darkroom events export orders.json --type shop.order.placed
      darkroom events import orders.json
    """
