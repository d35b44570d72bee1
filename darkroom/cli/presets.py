"""`darkroom presets`: shows the presets of a running API, or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from darkroom.cli.job import api_of, url_option
from darkroom.cli.runtime_file import data_option
from darkroom.cli.terminal import write_json_lines, write_records

COLUMNS = ("preset", "type", "parameters", "digest")


@click.command("presets")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one preset per line.")
@url_option
@data_option
def command(file: Path | None, as_json: bool, url: str | None, data: Path) -> None:
    """Show the presets that the API has now: what each name stands for, and its digest, which changes with it.

    With FILE, those of the file; a mistake in it is named, as `darkroom check` does.

    \b
      darkroom presets
      darkroom presets presets.yaml
      darkroom submit picture.jpg resize --preset thumb -o thumb.jpg
      darkroom submit picture.jpg renditions --preset thumb,hero -o pictures/
    """
    shown = api_of(url, data).presets() if file is None else _of_file(file)
    if as_json:
        write_json_lines(shown)
        return
    rows = [(one["name"], one["type"], _joined(one["parameters"]), one["digest"]) for one in shown]
    write_records(COLUMNS, rows, empty="no presets; PRESETS_FILE names their file")


def _of_file(file: Path) -> list[dict[str, Any]]:
    # Imported only here, because listing those of an API needs neither YAML nor the settings.
    from darkroom.serving.preset_file import PresetFileError, read_presets

    try:
        return [preset.view() for preset in read_presets(file)]
    except PresetFileError as exc:
        raise click.ClickException(str(exc)) from exc


def _joined(parameters: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())
