"""The results of a job with several of them, on the terminal and in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from darkroom.cli.api import Api
from darkroom.cli.terminal import printable, tell, write
from darkroom.client.protocol import file_name


def tell_and_save_renditions(
    api: Api, job: dict[str, Any], out: Path | None, took_s: float, *, print_urls: bool
) -> None:
    """Say what was made and what was not, and save the former into the folder, if there is one."""
    results = job["results"]
    made = {name: one["result"] for name, one in results.items() if "result" in one}
    steps = ", ".join(f"{step} {duration} ms" for step, duration in job["timings_ms"].items())
    tell(f"{len(made)} of {len(results)} made in {took_s:.2f} s ({steps})")
    for line in rendition_lines(results):
        tell(f"  {line}")
    for name, result in made.items():
        if out is not None:
            (out / file_name(name, result)).write_bytes(api.download(result["url"]))
        elif print_urls:
            write(f"{name}\t{result['url']}")
    if out is not None and made:
        tell(f"saved to {out}/")


def rendition_lines(results: dict[str, Any]) -> list[str]:
    """Return a line for each rendition: its name, and its result, its error or its status."""
    return [f"{name}: {_outcome(one)}" for name, one in results.items()]


def _outcome(one: dict[str, Any]) -> str:
    preset = f", preset {one['preset']['name']} {one['preset']['digest']}" if "preset" in one else ""
    if "result" in one:
        return "{width}x{height} {content_type}, {bytes:,} bytes".format(**one["result"]) + preset
    if "error" in one:
        return printable(f"{one['error']['code']}: {one['error']['message']}") + preset
    return f"{one['status']}{preset}"
