"""The tool that probes and renders a corpus tells clean refusals from crashes and hangs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests import pictures
from tools import corpus
from tools.corpus import Summary, Verdict, fuzzed


def test_damaged_pictures_are_equal_for_equal_seeds_and_mostly_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(islice(fuzzed(40, 3), 40)) == list(fuzzed(40, 3))
    assert dict(fuzzed(40, 3)) != dict(fuzzed(40, 4))
    assert corpus.main(["--fuzz", "40", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "pictures: 40" in out
    assert "crashes, hangs and unclean errors: 0" in out
    assert "image." in out


@pytest.mark.slow
def test_two_thousand_damaged_pictures_crash_nothing() -> None:
    assert corpus.main(["--fuzz", "2000", "--seed", "11"]) == 0


def test_a_folder_of_pictures_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.gif").write_bytes(pictures.polyglot_gif())
    (tmp_path / "b.txt").write_text("no picture")
    assert corpus.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "rendered: 1" in out
    assert "input.unsupported: 1" in out


def test_a_crash_and_an_unclean_error_are_named_and_counted() -> None:
    summary = Summary()
    summary.add("good.png", 100, Verdict(outcome="rendered", is_clean=True, probe_cpu_s=0.001))
    summary.add("bad.png", 2**20, Verdict(outcome="crash (exit code -11)", is_clean=False))
    summary.add("slow.png", 2**20, Verdict(outcome="image.corrupt", is_clean=True, probe_cpu_s=0.02))
    lines = list(summary.lines())
    assert "crashes, hangs and unclean errors: 1" in lines
    assert "  bad.png: crash (exit code -11)" in lines
    assert "longest probe per MiB: 20.0 ms of CPU time (slow.png)" in lines


def test_a_process_that_died_is_replaced() -> None:
    examiner = corpus.Examiner()
    try:
        examiner._process.kill()
        examiner._process.join()
        verdict = examiner.examine(b"", 0)
        assert (verdict.outcome, verdict.is_clean) == ("crash (exit code -9)", False)
        assert examiner.examine(b"", 0).outcome == "input.unsupported"
    finally:
        examiner.close()
