"""The environment of a function, parsed once at start. A missing or wrong variable stops the function and is named."""

from __future__ import annotations

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
    model_validator,
)

from darkroom.contract.limits import Limits
from darkroom.contract.rates import Rate
from darkroom.contract.sizes import parse_bytes
from darkroom.errors import SettingsError
from darkroom.events import strict_json
from darkroom.events.durations import parse_go
from darkroom.serving.client_address import parse_networks

_DEFAULTS = Limits()
_WRITES = Rate(limit=60, period_s=60)
_READS = Rate(limit=600, period_s=60)


def _empty_is_unset(value: Any) -> Any:
    return None if value == "" else value


def _duration_s(value: Any) -> Any:
    return parse_go(value) if isinstance(value, str) else value


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


def _http_url(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
        raise ValueError(f"must be an http or https URL, was {value[:200]!r}")
    return value


def _networks(value: str | None) -> str | None:
    parse_networks(value or "")
    return value


Text = Annotated[str | None, BeforeValidator(_empty_is_unset)]
Secret = Annotated[SecretStr | None, BeforeValidator(_empty_is_unset)]
RateSetting = Annotated[Rate | None, BeforeValidator(_rate)]
Size = Annotated[int | None, BeforeValidator(_bytes)]
Duration = Annotated[float, BeforeValidator(_duration_s), Field(gt=0, le=600)]


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
    redis_url: Secret = Field(None, alias="REDIS_URL")
    """URL of the job store. It may contain a password."""
    nats_url: Secret = Field(None, alias="NATS_URL")
    """URL of the NATS server with the dead-letter stream."""
    nats_tls_folder: Text = Field(None, alias="NATS_TLS_FOLDER")
    """Folder with ca.crt, tls.crt and tls.key for NATS; unset: no client certificate."""
    storage_type: Literal["minio", "s3", "local"] = Field("minio", alias="STORAGE_TYPE")
    storage_endpoint: Text = Field(None, alias="STORAGE_ENDPOINT")
    """URL of the S3 server; unset with `s3` means AWS. With `local`, a directory."""
    storage_public_endpoint: Text = Field(None, alias="STORAGE_PUBLIC_ENDPOINT")
    """The host in signed URLs; unset: that of STORAGE_ENDPOINT."""
    storage_access_key: Secret = Field(None, alias="STORAGE_ACCESS_KEY")
    storage_secret_key: Secret = Field(None, alias="STORAGE_SECRET_KEY")
    bucket: str = Field("processed-images", alias="BUCKET_NAME")
    max_retries: Annotated[int, Field(ge=0, le=10)] = Field(2, alias="MAX_RETRIES")
    """How often a job is retried after its first attempt; 0 disables."""
    job_timeout_s: Duration = Field(30.0, alias="JOB_TIMEOUT")
    """A Go duration. A worker that overruns it is killed."""
    max_input_bytes: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_input_bytes, alias="MAX_INPUT_BYTES")
    max_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_pixels, alias="MAX_PIXELS")
    max_side_px: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_side_px, alias="MAX_SIDE_PX")
    max_frames: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_frames, alias="MAX_FRAMES")
    max_total_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_total_pixels, alias="MAX_TOTAL_PIXELS")
    max_scans: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_scans, alias="MAX_SCANS")
    max_output_pixels: Annotated[int, Field(gt=0)] = Field(_DEFAULTS.max_output_pixels, alias="MAX_OUTPUT_PIXELS")
    worker_memory_bytes: Size = Field(None, alias="WORKER_MEMORY")
    """Address space of a worker process, a Kubernetes quantity; unset or `off` leaves it unlimited."""
    cost_classes: bool = Field(True, alias="COST_CLASSES")
    """Whether hard pictures are marked `heavy` for Services of their own; `off` sends all to the same ones."""
    url_lifetime_s: Duration = Field(600.0, alias="URL_LIFETIME")
    """How long a signed URL is valid, a Go duration of at most 10 minutes."""
    api_keys: Literal["on", "off"] = Field("on", alias="API_KEYS")
    """`off` admits whoever reaches the function; the local runtime uses it on loopback."""
    api_keys_file: Text = Field(None, alias="API_KEYS_FILE")
    """File with the hashes of the valid keys, written by `darkroom keys`; read again when it changes."""
    rate_limit: RateSetting = Field(_WRITES, alias="RATE_LIMIT")
    """The rate at which ingest accepts requests from one key, or from one address without a valid key; `off`
    disables.
    """
    rate_limit_reads: RateSetting = Field(_READS, alias="RATE_LIMIT_READS")
    """The same for status."""
    trusted_proxies: Annotated[str | None, AfterValidator(_networks)] = Field(None, alias="TRUSTED_PROXIES")
    """Networks, separated by commas, whose X-Forwarded-For is believed; unset: none."""
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", alias="LOG_LEVEL")

    @model_validator(mode="before")
    @classmethod
    def _minio_names_are_taken_too(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in ("ACCESS_KEY", "SECRET_KEY"):
            if not values.get(f"STORAGE_{name}") and values.get(f"MINIO_{name}"):
                values = {**values, f"STORAGE_{name}": values[f"MINIO_{name}"]}
        return values

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
        )

    @classmethod
    def load(cls, *, needs: frozenset[str], environment: Mapping[str, str] | None = None) -> Settings:
        """Parse the environment. `needs` names the variables that this function requires. Raises SettingsError."""
        environment = os.environ if environment is None else environment
        try:
            settings = cls.model_validate(dict(environment))
        except ValidationError as exc:
            raise SettingsError("; ".join(_format_error(error) for error in exc.errors(include_url=False))) from None
        missing = sorted(name for name in needs | settings._storage_needs(needs) if not settings._is_set(name))
        if missing:
            raise SettingsError(f"not set: {', '.join(missing)}")
        return settings

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
    return f"{name}: {re.sub('^Value error, ', '', error['msg'])}"
