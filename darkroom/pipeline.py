"""Attaches the image pipeline to the local runtime: the one place where the application meets the platform.

`darkroom.toml` names this module. The clients are imported on first use, because the fork server loads the module too.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.job_types import EVENT_TYPES, NAMES
from darkroom.contract.jobs import JobStatus
from darkroom.contract.lanes import LaneWindow
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.contract.route_templates import route_template
from darkroom.events.hosts import parse_origins

if TYPE_CHECKING:
    from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
    from darkroom.adapters.jobs import JobStore
    from darkroom.adapters.storage.local import LocalStorage
    from darkroom.adapters.storage.retention import StorageRetention
    from darkroom.adapters.storage.s3 import S3Storage
    from darkroom.console.extension import ConsolePages
    from darkroom.diagnosis import Finding
    from darkroom.job_diagnosis import JobDiagnosis
    from darkroom.local.extension import Application, Complaint, Extension, Run
    from darkroom.simulate.window import Window
    from darkroom.telemetry.metric import Readings

BROKER_PATH = "/darkroom/darkroom"
"""Namespace and name, as in nats-eventing/broker.yaml."""
DEAD_LETTER_STREAM = Path("nats-eventing/deadletter-stream.json")
LIBRARY = Path(__file__).parent
_FUNCTIONS_IMPORT = ("contract", "events", "imaging", "adapters", "serving", "telemetry")
"""The packages of the library that functions import."""
_PRELOADED = (
    "darkroom.serving",
    "darkroom.serving.asgi",
    "darkroom.serving.asgi_server",
    "darkroom.serving.gate",
    "darkroom.serving.health",
    "darkroom.serving.resources",
    "darkroom.serving.wsgi_server",
    "darkroom.adapters.broker.http",
    "darkroom.adapters.jobs.notices",
    "darkroom.adapters.jobs.reading",
    "darkroom.adapters.jobs.redis",
    "darkroom.adapters.storage.s3",
)
_NO_SERVER = "127.0.0.1:1"
_LOOKED_AT = ("job store", "dead letters", "settings")
"""The parts of `job_diagnosis`, which is imported when somebody asks what is wrong."""


class Pipeline:
    """The pipeline's part in one run of the local runtime."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def code(self) -> Sequence[Path]:
        return [LIBRARY / name for name in _FUNCTIONS_IMPORT]

    @property
    def status(self) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
        return {"jobs": self._backlog}

    @property
    def readings(self) -> Mapping[str, Callable[[], Readings]]:
        return {"jobs": self._jobs.statistics, "dead letters": self._dead_letter_count}

    @property
    def findings(self) -> Mapping[str, Callable[[Mapping[str, Any]], Sequence[Finding]]]:
        return {name: partial(self._find, name) for name in _LOOKED_AT}

    def prepare(self, servers: Collection[str]) -> None:
        if "s3" in servers:
            with closing(self._storage()) as storage:
                storage.prepare()
        elif self._run.variables.get("STORAGE_TYPE") == "local":
            self._files().prepare()
        if "postgres" in servers:
            from darkroom.adapters.jobs.postgres import schema

            schema.prepare(self._run.variables["POSTGRES_URL"])
        if "nats" in servers:
            self._dead_letters.prepare()

    def route_template(self, path: str) -> str:
        return route_template(path)

    def banner(self, api: str) -> Sequence[str]:
        return [
            f"API {api}/api/v1: POST {', '.join(NAMES)}; GET jobs/ID",
            f"try: curl -F image=@picture.jpg -F width=400 {api}/api/v1/resize",
            f"{self._keys()}; {self._limit()}",
        ]

    def _keys(self) -> str:
        if self._run.variables.get("API_KEYS") == "on":
            return f"API keys are required: {self._run.variables.get('API_KEYS_FILE')}"
        return (
            "API keys are off: anyone who can reach this machine's loopback may use the API (--api-keys requires them)"
        )

    def _limit(self) -> str:
        rates = (self._run.variables.get(name, "off") for name in ("RATE_LIMIT", "RATE_LIMIT_BYTES"))
        limits = [rate for rate in rates if rate != "off"]
        return f"rate limit {' and '.join(limits)}" if limits else "no rate limit"

    def close(self) -> None:
        for name in ("_jobs", "_dead_letters"):
            if name in vars(self):
                getattr(self, name).close()

    @cached_property
    def _jobs(self) -> JobStore:
        from darkroom.adapters.jobs.postgres.store import PostgresJobStore
        from darkroom.adapters.jobs.redis import RedisJobStore

        window = {**self._run.settings, **self._run.variables}.get("BROKER_WINDOW", "")
        broker_window = int(window) if window.isdecimal() else None
        if self._run.variables.get("JOB_STORE") != "postgres":
            return RedisJobStore(self._run.variables["REDIS_URL"], broker_window=broker_window)
        postgres = PostgresJobStore(self._run.variables["POSTGRES_URL"], broker_window=broker_window)
        if self._run.variables.get("JOB_STORE_FROM") != "redis":
            return postgres
        from darkroom.adapters.jobs.moving.store import MovingJobStore

        redis = RedisJobStore(self._run.variables["REDIS_URL"], broker_window=broker_window)
        return MovingJobStore(new=postgres, old=redis)

    def _storage(self) -> S3Storage:
        from darkroom.adapters.storage.s3 import DEFAULT_REGION, S3Storage

        variables = self._run.variables
        return S3Storage(
            endpoint=variables["STORAGE_ENDPOINT"],
            public_endpoint=None,
            access_key=variables["STORAGE_ACCESS_KEY"],
            secret_key=variables["STORAGE_SECRET_KEY"],
            bucket=variables["BUCKET_NAME"],
            region=variables.get("STORAGE_REGION") or DEFAULT_REGION,
            allowed_origins=parse_origins(variables.get("ALLOWED_ORIGINS", "")),
            retention=self._retention(),
        )

    def _files(self) -> LocalStorage:
        from darkroom.adapters.storage.local import LocalStorage

        return LocalStorage(self._run.variables["STORAGE_ENDPOINT"], retention=self._retention())

    def _retention(self) -> StorageRetention:
        from darkroom.adapters.storage.retention import StorageRetention

        return StorageRetention.of({**self._run.settings, **self._run.variables})

    @cached_property
    def _dead_letters(self) -> JetStreamDeadLetters:
        from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters

        definition = json.loads((self._run.project_root / DEAD_LETTER_STREAM).read_text())
        return JetStreamDeadLetters(self._run.variables["NATS_URL"], definition=definition)

    @cached_property
    def _diagnosis(self) -> JobDiagnosis:
        from darkroom.job_diagnosis import JobDiagnosis

        settings = {**self._run.settings, **self._run.variables}
        return JobDiagnosis(settings, lambda: self._jobs, lambda: self._dead_letters)

    def _find(self, part: str, status: Mapping[str, Any]) -> Sequence[Finding]:
        return self._diagnosis.parts[part](status)

    def _backlog(self) -> Mapping[str, Any]:
        backlog, load = self._jobs.backlog(), self._jobs.condition(struck=0).load
        return {
            "queued": backlog.by_status.get(JobStatus.QUEUED, 0),
            "processing": backlog.by_status.get(JobStatus.PROCESSING, 0),
            "oldest_age_s": backlog.oldest_age_s,
            "ended": load.ended,
            "ended_within_s": load.within_s,
        }

    def _dead_letter_count(self) -> Readings:
        return {DEAD_LETTERS: self._dead_letters.readings()[DEAD_LETTERS]}


class PipelineExtension:
    def attach(self, run: Run) -> Application:
        return Pipeline(run)

    def window(self, event_type: str, settings: Mapping[str, str]) -> Window | None:
        """Return the window of a job type's events, which BROKER_WINDOW sets (`darkroom.simulate`)."""
        size = settings.get("BROKER_WINDOW", "")
        if event_type not in EVENT_TYPES or not size.isdecimal() or int(size) == 0:
            return None
        return LaneWindow(int(size))

    def complaints(self, project_root: Path, manifests: Sequence[Path]) -> Sequence[Complaint]:
        from darkroom.preset_check import preset_complaints
        from darkroom.retention_check import retention_complaints

        return [
            *preset_complaints(project_root, manifests),
            *retention_complaints(project_root / DEAD_LETTER_STREAM, manifests),
        ]

    def console(self, run: Run) -> ConsolePages:
        from darkroom.job_console.attaching import pages_of_run
        from darkroom.job_console.local_logs import read_local_log

        logs = run.logs
        return pages_of_run(
            {**run.settings, **run.variables},
            broker=f"{run.addresses['broker']}{BROKER_PATH}",
            api=run.addresses["api"],
            read_log=None if logs is None else partial(read_local_log, folder=logs),
        )

    def preload(self) -> None:
        for module in _PRELOADED:
            # A module that is not installed is imported by no function either.
            with suppress(ModuleNotFoundError):
                importlib.import_module(module)
        _make_first_calls()


extension: Extension = PipelineExtension()


def _make_first_calls() -> None:
    """Exercise the clients once, since their first calls import and read much more than their modules do.

    Nothing listens on port 1. Storage's first call would start threads, so that client is only warmed up.
    """
    from darkroom.adapters.jobs.redis import RedisJobStore
    from darkroom.adapters.storage.s3 import S3Storage

    nothing = "none"
    storage = S3Storage(
        endpoint=f"http://{_NO_SERVER}", public_endpoint=None, access_key=nothing, secret_key=nothing, bucket=nothing
    )
    with closing(RedisJobStore(f"redis://{_NO_SERVER}")) as jobs, suppress(DependencyUnavailableError):
        jobs.check()
    storage.warm()
    storage.sign_upload(nothing, content_type=nothing, lifetime_s=1)
    storage.close()
