"""What the user sees of a backfill: how far it is, what failed and why, and where the results are."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from darkroom.cli.backfill.plan import Outcome
from darkroom.cli.backfill.state import Counts, State
from darkroom.cli.terminal import format_duration, printable, tell, write, write_json

_TOLD_EVERY_S = 5.0
_SHOWN_FAILURES = 20


@dataclass
class Teller:
    """Reports the progress on standard error, with an estimate from the speed since the start of this command."""

    counts: Counts
    clock: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] = tell
    _done: int = 0
    _failed: int = 0
    _began: float = field(init=False)
    _told: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._told = self.clock()

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Take note of a picture that is done."""
        self._done += 1
        self._failed += any(one.code is not None for one in outcomes)
        now = self.clock()
        if now - self._told >= _TOLD_EVERY_S:
            self._told = now
            self.tell(self._progress(now - self._began))

    def _progress(self, took_s: float) -> str:
        done, to_do = self.counts.done + self._done, self.counts.to_do
        per_s = self._done / took_s
        failed = f", {self._failed:,} failed" if self._failed else ""
        left = format_duration((to_do - done) / per_s)
        return f"{done / to_do:4.0%}, {done:,} of {to_do:,} pictures{failed}, {per_s:.1f}/s, about {left} left"


def write_counts(state: State, *, as_json: bool) -> int:
    """Write how many were made and not, and return how many presets of pictures failed."""
    counts = state.counts()
    made, codes = 0, Counter[str]()
    for row in state.rows():
        if row.code is None:
            made += 1
        else:
            codes[row.code] += 1
    failed = sum(codes.values())
    if as_json:
        failures = [asdict(row) for row in state.rows(failed_only=True)]
        write_json({**asdict(counts), "made": made, "failed": failed, "failures": failures})
        return failed
    write(f"{made:>9,}  made")
    for code, number in codes.most_common():
        write(f"{number:>9,}  failed: {code}")
    write(f"{counts.pictures - counts.to_do:>9,}  pictures with nothing to do")
    write(f"{counts.pictures:>9,}  pictures in all")
    return failed


def tell_failures(state: State) -> None:
    """Say which pictures failed, and why; those beyond the first are in `--json`."""
    shown, more, codes = 0, 0, set()
    for row in state.rows(failed_only=True):
        codes.add(row.code)
        if shown < _SHOWN_FAILURES:
            shown += 1
            tell(f"{row.storage_key} {row.preset}: {row.code}: {printable(row.message)}")
        else:
            more += 1
    if more:
        tell(f"and {more:,} more; --json lists all")
    if "input.not_found" in codes:
        tell("input.not_found: the picture is gone, or the deployment's INPUT_PREFIXES do not allow its key")


def write_results(state: State, file: Path) -> None:
    """Write what was made in this run, a JSON object per line; the file is complete or not there."""
    unfinished = file.with_name(file.name + ".unfinished")
    with unfinished.open("w", encoding="utf-8") as out:
        for row in state.rows():
            if row.code is None:
                entry = asdict(row)
                out.write(json.dumps({name: entry[name] for name in entry if name not in {"code", "message"}}) + "\n")
    unfinished.replace(file)
