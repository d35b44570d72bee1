"""Each action of the application's pages is refused without a key, by a key that may read, and from another origin."""

from __future__ import annotations

from pathlib import Path

from darkroom.console.access import Access
from darkroom.console.application import console_application
from darkroom.console.audit import FileAudit
from darkroom.console.keys import KeyFile
from darkroom.job_console.pages import JobPages
from darkroom.serving.testing import MemoryPipeline
from tests.console_actions import actions, ask, write_keys

OURS = ("/console/jobs", "/console/deadletters")


def test_every_action_asks_who_acts(tmp_path: Path) -> None:
    pipeline = MemoryPipeline("console")
    keys = write_keys(tmp_path / "keys.json", reader="read", operator="act")
    audit = FileAudit(path=tmp_path / "audit.jsonl")
    console = console_application(
        access=Access(keys=KeyFile(path=tmp_path / "keys.json")), audit=audit, pages=JobPages(pipeline.resources)
    )
    paths = [path for path, _ in actions(console) if path.startswith(OURS)]
    assert len(paths) == 7
    for path in paths:
        assert ask(console, "POST", path).status_code == 401, path
        reader = {"Authorization": f"Bearer {keys['reader']}"}
        assert ask(console, "POST", path, headers=reader).status_code == 403, path
        elsewhere = {"Authorization": f"Bearer {keys['operator']}", "Origin": "https://evil.example"}
        assert ask(console, "POST", path, headers=elsewhere).status_code == 403, path
        assert [entry.outcome for entry in audit.recent(3)] == ["refused"] * 3
        assert [entry.who for entry in audit.recent(3)] == ["", "reader", ""]


def test_nothing_is_read_without_a_key(tmp_path: Path) -> None:
    pipeline = MemoryPipeline("console")
    job_id = pipeline.accept()
    keys = write_keys(tmp_path / "keys.json", reader="read")
    console = console_application(
        access=Access(keys=KeyFile(path=tmp_path / "keys.json")),
        audit=FileAudit(path=tmp_path / "audit.jsonl"),
        pages=JobPages(pipeline.resources),
    )
    for path in ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/stream", "/deadletters", "/deadletters/1"):
        assert ask(console, "GET", f"/console{path}", headers={"Accept": "text/plain"}).status_code == 401, path
    page = ask(console, "GET", f"/console/jobs/{job_id}", headers={"Authorization": f"Bearer {keys['reader']}"})
    assert page.status_code == 200
    assert "Cancel the job" not in page.text, "who may not act is offered no action"
