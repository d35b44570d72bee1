"""The environment of a function, parsed once at start. A missing or wrong variable stops the function and is named."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from darkroom.adapters.jobs.admission import BacklogLimits
from darkroom.contract.input_prefixes import parse_input_prefixes
from darkroom.contract.limits import Limits
from darkroom.contract.rates import Rate
from darkroom.contract.sizes import parse_bytes
from darkroom.contract.webhook_addresses import parse_allowed
from darkroom.errors import SettingsError
from darkroom.events import strict_json
from darkroom.events.durations import parse_days, parse_go, parse_retention
from darkroom.events.hosts import parse_hosts, parse_origins
from darkroom.serving.addresses import check_url, with_scheme
from darkroom.serving.client_address import parse_networks

_DEFAULTS = Limits()
_WRITES = Rate(limit=60, period_s=60)
_READS = Rate(limit=600, period_s=60)
_DAY_S = 86400.0
_LONGEST_RETENTION_S = 3650 * _DAY_S
_HOUR_S = 3600.0
WEBHOOK_RETRY_DELAYS_S = (5.0, 300.0, 1500.0, 1800.0, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 10 * _HOUR_S)
"""Eight tries after the first, over 28 hours."""
DEFAULT_REGION = "us-east-1"
REGION = "^[a-z0-9-]{1,63}$"
SCHEMES = {"minio": "http", "s3": "https"}
"""The scheme of an S3 server's address that has none, by STORAGE_TYPE."""


def _empty_is_unset(value: Any) -> Any:
    return None if value == "" else value


def _duration_s(value: Any) -> Any:
    return parse_go(value) if isinstance(value, str) else value


def _retention_s(value: Any) -> Any:
    return parse_retention(value) if isinstance(value, str) else value


def _whole_days(value: float | None) -> float | None:
    if value is not None and value < _DAY_S:
        raise ValueError(f"must be at least 1d, or off, was {value:g} s: storage expires objects by whole days")
    return value


def _off_is_unset(value: Any) -> Any:
    return None if value in ("", "off") else value


def _bytes(value: Any) -> Any:
    if value in ("", "off"):
        return None
    return parse_bytes(value) if isinstance(value, str) else value


def _overriding_extensions(value: Any) -> Any:
    """Parse the extensions of K_CE_OVERRIDES, which a SinkBinding without ceOverrides sets to the empty string
    (knative/eventing, pkg/apis/sources/v1/sinkbinding_lifecycle.go).
    """
    if not isinstance(value, str):
        return value
    if not value.strip():
        return {}
    overrides = _json(value)
    if not isinstance(overrides, dict):
        raise ValueError(f"must be a JSON object, was {_kind_of(overrides)}")
    extensions = overrides.get("extensions")
    return {} if extensions is None else extensions


def _json(text: str) -> Any:
    try:
        return strict_json.load(text.encode())
    except ValueError as exc:
        raise ValueError(f"must be JSON: {exc}") from exc


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _rate(value: Any) -> Any:
    return Rate.parse(value) if isinstance(value, str) else value


def _byte_rate(value: Any) -> Any:
    if value == "":
        return None
    return Rate.parse_of_bytes(value) if isinstance(value, str) else value


def _http_url(value: str | None) -> str | None:
    if value is not None:
        check_url(value, schemes=("http", "https"), shown=value[:200])
    return value


def _redis_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        check_url(value.get_secret_value(), schemes=("redis", "rediss", "unix"))
    return value


def _postgres_url(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        check_url(value.get_secret_value(), schemes=("postgresql", "postgres"))
    return value


def _none_if_empty(value: Any) -> Any:
    return value or None


def _redis_if_empty(value: Any) -> Any:
    return value or "redis"


def _nats_url(value: SecretStr | None) -> SecretStr | None:
    for url in value.get_secret_value().split(",") if value is not None else ():
        # A NATS client takes an address without a scheme too.
        check_url(url if "://" in url else f"nats://{url}", schemes=("nats", "tls", "ws", "wss"))
    return value


def _region_or_default(value: Any) -> Any:
    return value or DEFAULT_REGION


def _origins(value: str | None) -> str | None:
    parse_origins(value or "")
    return value


def _hosts(value: str | None) -> str | None:
    parse_hosts(value or "")
    return value


def _networks(value: str | None) -> str | None:
    parse_networks(value or "")
    return value


def _private_targets(value: str | None) -> str | None:
    parse_allowed(value or "")
    return value


def _input_prefixes(value: Any) -> Any:
    return parse_input_prefixes(value) if isinstance(value, str) else value


def _delays_s(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "off":
        return ()
    return tuple(parse_days(part.strip()) for part in value.split(","))


Workers = Annotated[Annotated[int, Field(ge=1, le=64)] | None, BeforeValidator(_empty_is_unset)]
Text = Annotated[str | None, BeforeValidator(_empty_is_unset)]
Secret = Annotated[SecretStr | None, BeforeValidator(_empty_is_unset)]
RateSetting = Annotated[Rate | None, BeforeValidator(_rate)]
ByteRateSetting = Annotated[Rate | None, BeforeValidator(_byte_rate)]
Size = Annotated[int | None, BeforeValidator(_bytes)]
Window = Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, BeforeValidator(_off_is_unset)]
Backlog = Annotated[Annotated[int, Field(ge=1, le=100_000_000)] | None, BeforeValidator(_off_is_unset)]
Duration = Annotated[float, BeforeValidator(_duration_s), Field(gt=0, le=600)]


Retention = Annotated[Annotated[float, Field(ge=1, le=_LONGEST_RETENTION_S)] | None, BeforeValidator(_retention_s)]


class Settings(BaseModel):
    """One field per variable; the alias is its name. Secrets are masked in `repr`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    service: Annotated[str, BeforeValidator(lambda value: value or "darkroom")] = Field("darkroom", alias="K_SERVICE")
    """The function's name; Knative sets it."""
    sink_url: Annotated[Text, AfterValidator(_http_url)] = Field(None, alias="K_SINK")
    """The destination of events. A SinkBinding sets it, after a function's first revision has started. While it is
    unset, the function is not ready and says why.
    """
    ce_overrides: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9]+$")], str], BeforeValidator(_overriding_extensions)
    ] = Field(default_factory=dict, alias="K_CE_OVERRIDES")
    """Extension attributes that are set on every emitted event; a SinkBinding sets them."""
    redis_url: Annotated[Secret, AfterValidator(_redis_url)] = Field(None, alias="REDIS_URL")
    """URL of the job store. It may contain a password."""
    job_store: Annotated[Literal["redis", "postgres"], BeforeValidator(_redis_if_empty)] = Field(
        "redis", alias="JOB_STORE"
    )
    """Where the job records and the rates are. Of REDIS_URL and POSTGRES_URL, only the one of this store is needed."""
    job_store_from: Annotated[Literal["redis"] | None, BeforeValidator(_none_if_empty)] = Field(
        None, alias="JOB_STORE_FROM"
    )
    """`redis` while jobs are moved from there (`darkroom jobs move`), which needs JOB_STORE `postgres` and both URLs;
    unset: nothing is moved."""
    postgres_url: Annotated[Secret, AfterValidator(_postgres_url)] = Field(None, alias="POSTGRES_URL")
    """URL of the job store with JOB_STORE `postgres`. It may contain a password."""
    nats_url: Annotated[Secret, AfterValidator(_nats_url)] = Field(None, alias="NATS_URL")
    """URL of the NATS server with the dead-letter stream."""
    nats_tls_folder: Text = Field(None, alias="NATS_TLS_FOLDER")
    """Folder with ca.crt, tls.crt and tls.key for NATS; unset: no client certificate."""
    storage_type: Literal["minio", "s3", "local"] = Field("minio", alias="STORAGE_TYPE")
    storage_endpoint: Text = Field(None, alias="STORAGE_ENDPOINT")
    """URL of the S3 server; without a scheme it is http for `minio` and https for `s3`. Unset with `s3` means AWS. With
    `local`, a directory.
    """
    storage_public_endpoint: Text = Field(None, alias="STORAGE_PUBLIC_ENDPOINT")
    """The host in signed URLs; unset: that of STORAGE_ENDPOINT. With `local`, the address of the API; unset: signed
    URLs are paths on the host that was asked.
    """
    storage_region: Annotated[str, BeforeValidator(_region_or_default), Field(pattern=REGION)] = Field(
        DEFAULT_REGION, alias="STORAGE_REGION"
    )
    """The region for which requests to S3 are signed; unset: that of AWS_REGION."""
    storage_access_key: Secret = Field(None, alias="STORAGE_ACCESS_KEY")
    storage_secret_key: Secret = Field(None, alias="STORAGE_SECRET_KEY")
    bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$")] = Field(
        "processed-images", alias="BUCKET_NAME"
    )
    worker_concurrency: Workers = Field(None, alias="WORKER_CONCURRENCY")
    """Jobs that one instance does at once, each in a process of its own; the Service's containerConcurrency must be the
    same. Unset: functions-framework's WORKERS.
    """
    max_retries: Annotated[int, Field(ge=0, le=10)] = Field(3, alias="MAX_RETRIES")
    """How often a job is retried after its first attempt; 0 disables."""
    job_timeout_s: Duration = Field(30.0, alias="JOB_TIMEOUT")
    """A Go duration. A worker that overruns it is killed, to the next whole second."""
    max_input_bytes: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_input_bytes, alias="MAX_INPUT_BYTES")
    max_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_pixels, alias="MAX_PIXELS")
    max_side_px: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_side_px, alias="MAX_SIDE_PX")
    max_frames: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_frames, alias="MAX_FRAMES")
    max_total_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_total_pixels, alias="MAX_TOTAL_PIXELS")
    max_scans: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_scans, alias="MAX_SCANS")
    max_output_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_output_pixels, alias="MAX_OUTPUT_PIXELS")
    heic: bool = Field(False, alias="HEIC")
    """`on` reads HEIC, for which the package needs the extra `heic`; off because HEVC is covered by patents."""
    worker_memory_bytes: Size = Field(None, alias="WORKER_MEMORY")
    """Address space of a worker process, a Kubernetes quantity; unset or `off` leaves it unlimited."""
    worker_niceness: Annotated[int, Field(ge=0, le=19)] = Field(0, alias="WORKER_NICENESS")
    """How much of the processor the instance leaves to others on the same machine, as nice(1) counts it; 0 disables."""
    cost_classes: bool = Field(True, alias="COST_CLASSES")
    """Whether hard pictures are marked `heavy`, and what nobody waits for `background`, for Services of their own;
    `off` sends all to the same ones."""
    url_lifetime_s: Duration = Field(600.0, alias="URL_LIFETIME")
    """How long a signed URL is valid, a Go duration of at most 10 minutes."""
    api_keys: Literal["on", "off"] = Field("on", alias="API_KEYS")
    """`off` admits whoever reaches the function; the local runtime uses it on loopback."""
    api_keys_file: Text = Field(None, alias="API_KEYS_FILE")
    """File with the hashes of the valid keys, written by `darkroom keys`; read again when it changes."""
    presets_file: Text = Field(None, alias="PRESETS_FILE")
    """YAML file of presets, read again when it changes; unset: there are none."""
    presets_only: bool = Field(False, alias="PRESETS_ONLY")
    """`on` makes presets only: parameters without one, or beside one, are refused."""
    input_prefixes: Annotated[tuple[str, ...], BeforeValidator(_input_prefixes)] = Field((), alias="INPUT_PREFIXES")
    """Further prefixes, separated by commas, that storage keys in requests may name, such as `library/`: every API key
    may have every picture under them rendered. Nothing under them is ever erased. Unset or `off`: uploads only.
    """
    allowed_origins: Annotated[str | None, AfterValidator(_origins)] = Field(None, alias="ALLOWED_ORIGINS")
    """Origins of web pages that may use the API, separated by commas, such as `https://shop.example`; `*` is any.
    Unset or `off`: none.
    """
    allowed_hosts: Annotated[str | None, AfterValidator(_hosts)] = Field(None, alias="ALLOWED_HOSTS")
    """Where keys are off: names under which the API is served, besides those of this machine and the cluster."""
    rate_limit: RateSetting = Field(_WRITES, alias="RATE_LIMIT")
    """The rate at which one key, or one address without a valid key, may ask ingest for jobs; `off` disables. A batch
    counts as many as it asks for. Signed uploads are counted for themselves, at the same rate.
    """
    rate_limit_bytes: ByteRateSetting = Field(None, alias="RATE_LIMIT_BYTES")
    """The same in bytes of the pictures, such as `256Mi/minute`; unset or `off` disables."""
    rate_limit_reads: RateSetting = Field(_READS, alias="RATE_LIMIT_READS")
    """The rate of requests to status."""
    trusted_proxies: Annotated[str | None, AfterValidator(_networks)] = Field(None, alias="TRUSTED_PROXIES")
    """Networks, separated by commas, whose X-Forwarded-For is believed; unset: none."""
    broker_window: Window = Field(None, alias="BROKER_WINDOW")
    """How many jobs of one Trigger, that is of one type and cost class, may be with the Broker at a time; the others
    wait in the job store, in fair turns between keys. Give it the Triggers' maxAckPending. Unset or `off`: any number.
    """
    quota_jobs_unfinished: Backlog = Field(None, alias="QUOTA_JOBS_UNFINISHED")
    """How many unfinished jobs one key may have; over it, ingest answers `quota.exceeded`. Unset or `off`: any number.
    """
    max_backlog: Backlog = Field(None, alias="MAX_BACKLOG")
    """How many jobs of all keys may be unfinished; over it, ingest answers `backlog.full`, as it does when the job
    store has used 85 % of its memory. Unset or `off`: any number.
    """
    job_retention_s: Retention = Field(7 * _DAY_S, alias="JOB_RETENTION")
    """How long a job's record is kept after its end, such as `7d`, `168h` or `60s`; `off`: for ever."""
    original_retention_s: Annotated[Retention, AfterValidator(_whole_days)] = Field(
        8 * _DAY_S, alias="ORIGINAL_RETENTION"
    )
    """How long originals are kept, counted from their upload, at least `1d`; part of a day counts as a day. `off`: for
    ever. Longer than JOB_RETENTION, since a job may be redriven while its record is there. `darkroom setup` makes the
    storage's rule of it.
    """
    result_retention_s: Annotated[Retention, AfterValidator(_whole_days)] = Field(None, alias="RESULT_RETENTION")
    """The same for results, counted from when they were stored; `off`: for ever."""
    webhooks_file: Text = Field(None, alias="WEBHOOKS_FILE")
    """File of the endpoints that are told of the ends of jobs, written by `darkroom webhooks`; read again when it
    changes. It has no secrets, and need not exist.
    """
    webhook_secrets_file: Text = Field(None, alias="WEBHOOK_SECRETS_FILE")
    """File of the secrets that notify signs with; nobody else needs it."""
    webhook_retry_delays_s: Annotated[
        tuple[Annotated[float, Field(gt=0, le=_DAY_S)], ...], BeforeValidator(_delays_s), Field(max_length=20)
    ] = Field(WEBHOOK_RETRY_DELAYS_S, alias="WEBHOOK_RETRY_DELAYS")
    """After how long a webhook that failed is tried again, each time, such as `5s,5m,1h`; varied by a fifth. The sweep
    looks every 15 seconds. After the last it is kept as a dead letter. `off`: it is tried once.
    """
    webhook_allow_private: Annotated[str | None, AfterValidator(_private_targets)] = Field(
        None, alias="WEBHOOK_ALLOW_PRIVATE"
    )
    """Networks and names of hosts, separated by commas, that webhooks may be sent to although they are not public, and
    without TLS, such as `10.2.0.0/16,hooks.shop.svc`; unset: none. Never a metadata service.
    """
    event_record_url: Text = Field(None, alias="EVENT_RECORD_URL")
    """Where copies of events are kept that recovery has taken out when their job is erased: the admin address of
    `darkroom up`, which sets this. Unset: there are none, as in a cluster.
    """
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="LOG_LEVEL")

    @model_validator(mode="before")
    @classmethod
    def _minio_names_are_taken_too(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("ACCESS_KEY", "SECRET_KEY"):
            if not values.get(f"STORAGE_{name}") and values.get(f"MINIO_{name}"):
                values = {**values, f"STORAGE_{name}": values[f"MINIO_{name}"]}
        return values

    @model_validator(mode="before")
    @classmethod
    def _the_region_of_aws_clients_is_taken_too(cls, values: dict[str, Any]) -> dict[str, Any]:
        region = values.get("AWS_REGION")
        if values.get("STORAGE_REGION") or not region:
            return values
        if not re.fullmatch(REGION, region):
            raise ValueError(f"AWS_REGION: must match {REGION}")
        return {**values, "STORAGE_REGION": region}

    @model_validator(mode="before")
    @classmethod
    def _endpoints_have_schemes(cls, values: dict[str, Any]) -> dict[str, Any]:
        kind = values.get("STORAGE_TYPE", "minio")
        if kind not in SCHEMES:
            return values
        endpoints = {
            name: with_scheme(value, SCHEMES[kind])
            for name in ("STORAGE_ENDPOINT", "STORAGE_PUBLIC_ENDPOINT")
            if isinstance(value := values.get(name), str) and value
        }
        return {**values, **endpoints}

    @model_validator(mode="after")
    def _originals_outlive_jobs(self) -> Settings:
        kept = self.original_retention_s
        if kept is not None and (self.job_retention_s is None or kept < self.job_retention_s):
            jobs = "off, for ever" if self.job_retention_s is None else f"{self.job_retention_s:g} s"
            raise ValueError(
                f"ORIGINAL_RETENTION: is {kept:g} s, and JOB_RETENTION is {jobs}: a job that is redriven while its "
                "record is kept needs its original. Give ORIGINAL_RETENTION at least as long"
            )
        return self

    @field_validator("storage_endpoint", "storage_public_endpoint")
    @classmethod
    def _endpoints_are_addresses(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_folder = info.data.get("storage_type") == "local" and info.field_name == "storage_endpoint"
        if value is not None and not is_folder:
            check_url(value, schemes=("http", "https"), is_endpoint=True, shown=value[:200])
            return value.rstrip("/")
        return value

    @field_validator("event_record_url")
    @classmethod
    def _event_record_is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            check_url(value, schemes=("http",), is_endpoint=True, shown=value[:200])
        return value

    @property
    def backlog_limits(self) -> BacklogLimits:
        return BacklogLimits(quota=self.quota_jobs_unfinished, max_backlog=self.max_backlog)

    @property
    def limits(self) -> Limits:
        return Limits(
            max_input_bytes=self.max_input_bytes,
            max_pixels=self.max_pixels,
            max_side_px=self.max_side_px,
            max_frames=self.max_frames,
            max_total_pixels=self.max_total_pixels,
            max_scans=self.max_scans,
            max_output_pixels=self.max_output_pixels,
            heic=self.heic,
        )

    @classmethod
    def load(cls, *, needs: frozenset[str], environment: Mapping[str, str] | None = None) -> Settings:
        """Parse the environment. `needs` names the variables that this function requires. Raises SettingsError."""
        environment = os.environ if environment is None else environment
        try:
            settings = cls.model_validate(dict(environment))
        except ValidationError as exc:
            raise SettingsError("; ".join(_format_error(error) for error in exc.errors(include_url=False))) from None
        if settings.heic and importlib.util.find_spec("pi_heif") is None:
            raise SettingsError("HEIC: `on` needs the package pi-heif, which the extra `heic` installs")
        needs = settings._of_the_job_store(needs)
        missing = sorted(name for name in needs | settings._storage_needs(needs) if not settings._is_set(name))
        if missing:
            raise SettingsError(f"not set: {', '.join(missing)}")
        return settings

    def _of_the_job_store(self, needs: frozenset[str]) -> frozenset[str]:
        """Return the variables with those of the chosen job store. Raises SettingsError if its library is missing."""
        if self.job_store == self.job_store_from:
            raise SettingsError(
                "JOB_STORE_FROM: jobs are moved to another store; with `redis`, JOB_STORE is `postgres`"
            )
        if self.job_store == "redis" or "REDIS_URL" not in needs:
            return needs
        if importlib.util.find_spec("psycopg") is None:
            raise SettingsError("JOB_STORE: `postgres` needs the package psycopg, which the extra `postgres` installs")
        if self.job_store_from is not None:
            return needs | {"POSTGRES_URL"}
        return needs - {"REDIS_URL"} | {"POSTGRES_URL"}

    def _storage_needs(self, needs: frozenset[str]) -> frozenset[str]:
        """Return the variables that using the bucket requires; AWS finds its own endpoint and credentials."""
        if "BUCKET_NAME" not in needs or self.storage_type == "s3":
            return frozenset()
        if self.storage_type == "local":
            return frozenset({"STORAGE_ENDPOINT"})
        return frozenset({"STORAGE_ENDPOINT", "STORAGE_ACCESS_KEY", "STORAGE_SECRET_KEY"})

    def _is_set(self, name: str) -> bool:
        fields = {field.alias: attribute for attribute, field in type(self).model_fields.items()}
        return getattr(self, fields[name]) is not None


def _format_error(error: Any) -> str:
    """Return the variable's name and the error. Values are not shown, since they may be secret."""
    name = ".".join(str(part) for part in error["loc"])
    message = re.sub("^Value error, ", "", error["msg"])
    # An error of several variables together names them itself.
    return f"{name}: {message}" if name else message
