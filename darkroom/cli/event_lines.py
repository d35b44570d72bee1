"""Shows the runtime's events on the console of `darkroom up`: one line each, and the reason of a failure first.

A function's last output is shown below its event; when it fails the same way again, only that it did.
"""

from __future__ import annotations

from typing import Any

from darkroom.cli.terminal import printable, write
from darkroom.local.children.reasons import reason_in

QUIET = {"event.accepted", "request.forwarded", "delivery.accepted", "instances.wanted", "process.line"}
"""Events of every picture. They are in the logs; without --verbose, the console shows only what needs attention."""
_STYLES = {
    "died": "red",
    "failed": "red",
    "start_failed": "red",
    "lost": "bold red",
    "refused": "yellow",
    "left_out": "yellow",
    "dead_lettered": "red",
    "ready": "green",
}


class EventLines:
    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._shown: dict[str, tuple[str, ...]] = {}
        """The output shown last, by what it is about."""

    def show(self, action: str, fields: dict[str, Any]) -> None:
        if action in QUIET and not self._verbose:
            return
        if "text" in fields:
            write((f"{action:<24}", _STYLES.get(action.rpartition(".")[2], "dim")), f" {fields['text']}")
            return
        output = _output_of(fields)
        reason = {"reason": reason_in(output)} if output else {}
        row = {**reason, **{name: value for name, value in fields.items() if name != "last_lines"}}
        shown = " ".join(f"{name}={_value(value)}" for name, value in row.items() if value not in (None, ""))
        style = _STYLES.get(action.rpartition(".")[2], "dim")
        write((f"{action:<24}", style), f" {shown}")
        if output:
            self._show_output(str(fields.get("service") or fields.get("server") or action), output)

    def _show_output(self, about: str, output: tuple[str, ...]) -> None:
        if self._shown.get(about) == output:
            write(("    the output is the same as before", "dim"))
            return
        self._shown[about] = output
        for line in output:
            write((f"    {printable(line)}", "dim"))


def _output_of(fields: dict[str, Any]) -> tuple[str, ...]:
    lines = fields.get("last_lines")
    return tuple(str(line).rstrip() for line in lines if str(line).strip()) if isinstance(lines, list | tuple) else ()


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else printable(value)
