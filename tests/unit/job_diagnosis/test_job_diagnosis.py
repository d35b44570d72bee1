"""What is said of the pipeline's own parts, on the stores in memory and on files."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.attempt_errors import crash_error
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.contract.jobs import JobResult
from darkroom.diagnosis import Finding
from darkroom.job_diagnosis import JobDiagnosis
from darkroom.local.extension import Diagnosing, Run
from darkroom.pipeline import PipelineExtension


class Pipeline:
    """A pipeline without functions, whose clock the test turns."""

    def __init__(self, settings: Mapping[str, str] | None = None, **rules: Any) -> None:
        self.now_s = 1_700_000_000.0
        self.store = MemoryJobStore(clock=lambda: self.now_s, **rules)
        self.letters = MemoryDeadLetters()
        self._diagnosis = JobDiagnosis(
            settings or {}, lambda: self.store, lambda: self.letters, clock=lambda: self.now_s
        )

    def findings(self, status: Mapping[str, Any] | None = None) -> list[Finding]:
        return [finding for look in self._diagnosis.parts.values() for finding in look(status or {})]

    def only(self, status: Mapping[str, Any] | None = None) -> Finding:
        [finding] = self.findings(status)
        return finding

    def accept(self, **changes: Any) -> uuid.UUID:
        job_id = uuid.uuid4()
        new = NewJob(
            job_id=job_id, type="resize", owner="", parameters={"width": 5}, storage_key=f"uploads/{job_id}/a.jpg",
            request_id="r", **changes,
        )  # fmt: skip
        self.store.accept(new)
        self.store.emitted(job_id, 1)
        return job_id

    def claimed(self) -> Lease:
        lease = self.store.claim(self.accept(), worker="w")
        assert isinstance(lease, Lease)
        return lease

    def complete(self, **timings_ms: int) -> None:
        lease = self.claimed()
        result = JobResult(storage_key="processed/a.jpg", content_type="image/jpeg", width=5, height=5, bytes=9)
        self.store.complete(lease, result, timings_ms)


def test_nothing_is_said_of_a_pipeline_that_is_well() -> None:
    pipeline = Pipeline({"API_KEYS": "off", "MAX_BACKLOG": "off"}, broker_window=2)
    pipeline.complete(fetch=5, store=5)
    assert pipeline.findings() == []


def test_a_store_that_is_full_is_said_in_the_words_of_the_refusal() -> None:
    pipeline = Pipeline()
    pipeline.store.used_bytes, pipeline.store.max_bytes = 90, 100
    finding = pipeline.only()
    assert (finding.code, finding.severity) == ("store.full", "stop")
    assert "has used 90 of 100 bytes of memory, and takes no more jobs above 85%" in finding.sentence
    assert "maxmemory" in finding.remedy
    pipeline.store.used_bytes = 75
    assert (pipeline.only().code, "75%" in pipeline.only().sentence) == ("store.nearly_full", True)


def test_a_server_that_is_down_is_not_asked_again() -> None:
    pipeline = Pipeline()
    pipeline.store.used_bytes, pipeline.store.max_bytes = 90, 100
    pipeline.letters.is_down = True
    assert pipeline.findings({"servers": [{"name": name, "state": "gone"} for name in ("redis", "nats")]}) == []


def test_a_backlog_at_its_limit_is_said() -> None:
    pipeline = Pipeline({"MAX_BACKLOG": "2"})
    pipeline.accept()
    assert pipeline.findings() == []
    pipeline.accept()
    assert "the backlog is full: 2 jobs are unfinished" in pipeline.only().sentence


def test_events_that_no_broker_took_are_said() -> None:
    pipeline = Pipeline()
    new = NewJob(
        job_id=uuid.uuid4(), type="crop", owner="", parameters={}, storage_key="uploads/a/a.jpg", request_id="r"
    )
    pipeline.store.accept(new)
    pipeline.now_s += 60
    assert "the events of 1 job" in pipeline.only().sentence


def test_a_full_lane_says_who_waits_and_why() -> None:
    pipeline = Pipeline(broker_window=2)
    for _ in range(5):
        pipeline.accept()
    assert pipeline.findings() == [], "for a moment it may be"
    pipeline.now_s += 7
    row = {
        "name": "resize",
        "service": "resize",
        "ready": 1,
        "max_scale": 3,
        "container_concurrency": 2,
        "failing": None,
    }
    finding = pipeline.only({"functions": [row]})
    assert (
        "2 of 2 places with the Broker are taken, and 3 jobs wait for room, the longest for 7.0 s" in finding.sentence
    )
    assert "resize is busy: it has 1 instance of at most 3, for 2 jobs at once." in finding.sentence
    assert "BROKER_WINDOW, which is 2" in finding.remedy

    failing = {"failures": 3, "failed_starts": 3, "last_at": 1.0, "reason": "ImportError: no"}
    finding = pipeline.only({"functions": [{**row, "failing": failing}]})
    assert "They wait because resize does not start (3 times): ImportError: no" in finding.sentence
    assert "Mend resize" in finding.remedy


def test_a_job_whose_picture_kills_its_worker_is_named_until_it_ends() -> None:
    pipeline = Pipeline()
    lease = pipeline.claimed()
    pipeline.now_s += 12
    assert pipeline.findings() == [], "nobody knows yet"
    again = pipeline.store.claim(lease.job_id, worker="another")
    assert isinstance(again, Lease)
    finding = pipeline.only()
    assert f"resize job {lease.job_id} killed its worker in 1 attempt (image.crashed)" in finding.sentence
    assert f"darkroom logs {lease.job_id}" in finding.remedy
    pipeline.store.fail(again, crash_error())
    assert pipeline.findings() == []


def test_dead_letters_are_said_by_their_reason_and_killers_by_name() -> None:
    pipeline = Pipeline()

    def keep(reason: str, job_id: str | None) -> int:
        letter = DeadLetter(reason=reason, detail="", event={}, job_id=job_id, job_type="resize", attempts=3)
        return pipeline.letters.keep(letter, key=str(uuid.uuid4()))

    killer = keep("image.crashed", "j1")
    for _ in range(2):
        keep("event.rejected", None)
    by_code = {finding.code: finding for finding in pipeline.findings()}
    assert (
        "job j1 killed its worker in 3 attempts (image.crashed), and was given up" in by_code["picture.kills"].sentence
    )
    assert f"deadletters redrive {killer}" in by_code["picture.kills"].remedy
    assert "event.rejected 2" in by_code["deadletters.waiting"].sentence
    pipeline.letters.drop(killer)
    assert "2 dead letters wait" in pipeline.only().sentence


def test_slow_storage_is_said_as_long_as_jobs_were_slow_just_now() -> None:
    pipeline = Pipeline()
    assert pipeline.findings() == []
    pipeline.complete(fetch=10, store=2400)
    finding = pipeline.only()
    assert finding.sentence.startswith("S3 is slow: storing a result took 2.4 s on average over the last 1 job")
    pipeline.now_s += 11
    pipeline.findings()
    pipeline.complete(fetch=10, store=10)
    assert pipeline.findings() == []


def test_presets_that_are_gone_or_broken_are_said_with_what_ingest_keeps(tmp_path: Path) -> None:
    file = tmp_path / "presets.yaml"
    good = "thumb: {type: resize, parameters: {width: 200}}\n"
    file.write_text(good)
    pipeline = Pipeline({"PRESETS_FILE": str(file)})
    assert pipeline.findings() == []
    file.unlink()
    gone = pipeline.only()
    assert (gone.code, f"PRESETS_FILE names {file}" in gone.sentence) == ("presets.gone", True)
    assert "the 1 preset that it had" in gone.sentence
    file.write_text("thumb: {type: resize}\n")
    broken = pipeline.only()
    assert (broken.code, "thumb: must have a type and parameters" in broken.sentence) == ("presets.invalid", True)
    file.write_text(good + "\n")
    assert pipeline.findings() == []


def test_presets_only_without_any_is_said(tmp_path: Path) -> None:
    (tmp_path / "presets.yaml").write_text("")
    for file in ("", str(tmp_path / "presets.yaml")):
        assert Pipeline({"PRESETS_FILE": file, "PRESETS_ONLY": "on"}).only().code == "presets.none"


def test_a_missing_or_empty_file_of_keys_is_said_where_keys_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    settings = {"API_KEYS": "on", "API_KEYS_FILE": str(file)}
    missing = Pipeline(settings).only()
    assert (missing.code, "No such file" in missing.sentence) == ("keys.unusable", True)
    key = {"id": "a" * 12, "sha256": "0" * 64, "created_at": "2026-01-01T00:00:00Z"}
    file.write_text(json.dumps({"keys": [{**key, "revoked_at": "2026-01-02T00:00:00Z"}]}))
    assert "no valid key: every request is refused" in Pipeline(settings).only().sentence
    file.write_text(json.dumps({"keys": [key]}))
    assert Pipeline(settings).findings() == []


def test_webhooks_that_are_owed_for_long_are_said() -> None:
    pipeline = Pipeline()
    lease = pipeline.store.claim(pipeline.accept(webhooks="we_1"), worker="w")
    assert isinstance(lease, Lease)
    pipeline.store.fail(lease, crash_error())
    assert pipeline.findings() == []
    pipeline.now_s += 90
    assert "1 webhook waits to be sent, the longest for 90 s" in pipeline.only().sentence


def test_the_extension_names_the_parts_that_can_be_looked_at(tmp_path: Path) -> None:
    attached = PipelineExtension().attach(Run(project_root=tmp_path, variables={}))
    assert isinstance(attached, Diagnosing)
    parts = JobDiagnosis({}, MemoryJobStore, MemoryDeadLetters).parts
    assert set(attached.findings) == set(parts)
