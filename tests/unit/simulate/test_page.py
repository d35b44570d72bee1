"""The example of docs/simulator.md runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_the_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/simulator.md").read_text(), re.S)
    exec(compile(example, "docs/simulator.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "0 -> 1, a request came while the revision was at zero" in printed
    assert "scaled to zero" in printed
