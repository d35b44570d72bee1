"""The outside systems of one function process, each created on first use.

Functions are imported in gunicorn's master, before it forks: a client or a connection made there would be shared by all
workers. So nothing here connects, and client libraries are not imported, until a worker needs them.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from darkroom import telemetry
from darkroom.adapters.broker import Emitter
from darkroom.adapters.broker.unbound import WAITING_FOR_SINK, UnboundEmitter, refuse_unbound
from darkroom.adapters.deadletters import DeadLetters
from darkroom.adapters.eventrecords import EventRecords, NoEventRecords
from darkroom.adapters.jobs import JobNotices, JobReader, JobStore
from darkroom.adapters.rates import RateLimiter
from darkroom.adapters.storage import Storage
from darkroom.adapters.storage.retention import StorageRetention
from darkroom.adapters.webhooks import WebhookSender
from darkroom.contract.webhook_addresses import parse_allowed
from darkroom.events.hosts import parse_origins
from darkroom.serving.log import get_logger
from darkroom.serving.settings import Settings
from darkroom.serving.traced_storage import TracedStorage
from darkroom.serving.webhook_endpoints import WebhookEndpoints

if TYPE_CHECKING:
    from darkroom.adapters.storage.local import LocalStorage


class Resources:
    """Built from settings in production; `darkroom.serving.testing` sets the attributes to in-memory adapters."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._waiting_was_logged = False

    @cached_property
    def jobs(self) -> JobStore:
        from darkroom.adapters.jobs.times import JobTimes

        settings = self.settings
        rules: dict[str, Any] = {
            "max_attempts": settings.max_retries + 1,
            "job_timeout_s": settings.job_timeout_s,
            "broker_window": settings.broker_window,
            "limits": settings.backlog_limits,
            "times": JobTimes(final_kept_s=settings.job_retention_s),
        }
        if self._moves_from_redis:
            return self._moving_jobs(rules)
        if self._uses_postgres:
            from darkroom.adapters.jobs.postgres.store import PostgresJobStore

            return PostgresJobStore(_reveal(settings.postgres_url), **rules)
        from darkroom.adapters.jobs.redis import RedisJobStore

        return RedisJobStore(_reveal(settings.redis_url), **rules)

    def _moving_jobs(self, rules: dict[str, Any]) -> JobStore:
        from darkroom.adapters.jobs.moving.store import MovingJobStore
        from darkroom.adapters.jobs.postgres.store import PostgresJobStore
        from darkroom.adapters.jobs.redis import RedisJobStore

        return MovingJobStore(
            new=PostgresJobStore(_reveal(self.settings.postgres_url), **rules),
            old=RedisJobStore(_reveal(self.settings.redis_url), **rules),
        )

    @property
    def _uses_postgres(self) -> bool:
        return self.settings.job_store == "postgres"

    @property
    def _moves_from_redis(self) -> bool:
        return self.settings.job_store_from == "redis"

    @property
    def _both_urls(self) -> dict[str, str]:
        return {"postgres_url": _reveal(self.settings.postgres_url), "redis_url": _reveal(self.settings.redis_url)}

    @cached_property
    def job_reader(self) -> JobReader:
        if self._moves_from_redis:
            from darkroom.adapters.jobs.moving.reading import MovingJobReader

            return MovingJobReader(**self._both_urls)
        if self._uses_postgres:
            from darkroom.adapters.jobs.postgres.reading import PostgresJobReader

            return PostgresJobReader(_reveal(self.settings.postgres_url))
        from darkroom.adapters.jobs.reading import RedisJobReader

        return RedisJobReader(_reveal(self.settings.redis_url))

    @cached_property
    def notices(self) -> JobNotices:
        if self._moves_from_redis:
            from darkroom.adapters.jobs.moving.reading import MovingJobNotices

            return MovingJobNotices(**self._both_urls)
        if self._uses_postgres:
            from darkroom.adapters.jobs.postgres.notices import PostgresJobNotices

            return PostgresJobNotices(_reveal(self.settings.postgres_url))
        from darkroom.adapters.jobs.notices import RedisJobNotices

        return RedisJobNotices(_reveal(self.settings.redis_url))

    @cached_property
    def rates(self) -> RateLimiter:
        if self._uses_postgres and self.settings.redis_url is None:
            from darkroom.adapters.rates.postgres import PostgresRateLimiter

            return PostgresRateLimiter(_reveal(self.settings.postgres_url))
        from darkroom.adapters.rates.redis import RedisRateLimiter

        return RedisRateLimiter(_reveal(self.settings.redis_url))

    @cached_property
    def files(self) -> LocalStorage | None:
        """The folder that holds the pictures; None where an S3 server does."""
        settings = self.settings
        if settings.storage_type != "local":
            return None
        from darkroom.adapters.storage.local import LocalStorage

        return LocalStorage(
            settings.storage_endpoint or "",
            public_endpoint=settings.storage_public_endpoint,
            secret_key=_reveal(settings.storage_secret_key),
            retention=self._retention,
        )

    @property
    def _retention(self) -> StorageRetention:
        settings = self.settings
        return StorageRetention(originals_s=settings.original_retention_s, results_s=settings.result_retention_s)

    @cached_property
    def storage(self) -> Storage:
        settings = self.settings
        if self.files is not None:
            return self.files
        from darkroom.adapters.storage.s3 import S3Storage

        storage = S3Storage(
            endpoint=settings.storage_endpoint,
            public_endpoint=settings.storage_public_endpoint,
            access_key=_reveal(settings.storage_access_key),
            secret_key=_reveal(settings.storage_secret_key),
            bucket=settings.bucket,
            region=settings.storage_region,
            allowed_origins=parse_origins(settings.allowed_origins or ""),
            retention=self._retention,
        )
        return TracedStorage(storage, bucket=settings.bucket) if telemetry.is_on() else storage

    @cached_property
    def emitter(self) -> Emitter:
        settings = self.settings
        if settings.sink_url is None:
            return UnboundEmitter()
        from darkroom.adapters.broker.http import HttpEmitter

        return HttpEmitter(settings.sink_url, ce_overrides=settings.ce_overrides)

    def check_sink(self) -> None:
        """Raise DependencyUnavailableError while no SinkBinding has injected K_SINK.

        A readiness probe calls this up to twenty times a second, so the log says it once.
        """
        if self.settings.sink_url is None:
            if not self._waiting_was_logged:
                self._waiting_was_logged = True
                get_logger().warning("startup.waiting", waiting_for="K_SINK", hint=WAITING_FOR_SINK)
            refuse_unbound()

    @cached_property
    def webhook_endpoints(self) -> WebhookEndpoints:
        return WebhookEndpoints(_path(self.settings.webhooks_file), _path(self.settings.webhook_secrets_file))

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        from darkroom.adapters.webhooks.http import HttpWebhookSender

        return HttpWebhookSender(parse_allowed(self.settings.webhook_allow_private or ""))

    @cached_property
    def event_records(self) -> EventRecords:
        if self.settings.event_record_url is None:
            return NoEventRecords()
        from darkroom.adapters.eventrecords.http import HttpEventRecords

        return HttpEventRecords(self.settings.event_record_url)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters

        folder = self.settings.nats_tls_folder
        return JetStreamDeadLetters(
            _reveal(self.settings.nats_url), tls_folder=None if folder is None else Path(folder)
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _reveal(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
