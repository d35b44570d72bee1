"""A Service's revision as the local runtime runs it, with everything that instances, activator and scaler need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

ServiceKey: TypeAlias = tuple[str, str]
"""A Service's namespace and name, which together are unique. Two namespaces may have Services of the same name."""


@dataclass(frozen=True, kw_only=True)
class ScalingConfig:
    """A revision's autoscaling annotations, with Knative's defaults."""

    min_scale: int = 0
    max_scale: int = 0
    """0: no maximum."""
    initial_scale: int = 1
    target: float = 100.0
    """Requests in flight per instance; never above `container_concurrency` where that is set."""
    target_utilization: float = 0.7
    """`target-utilization-percentage` / 100."""
    container_concurrency: int = 0
    """0: no limit."""
    window_s: float = 60.0
    panic_window_percentage: float = 10.0
    panic_threshold_percentage: float = 200.0
    scale_down_delay_s: float = 0.0
    retention_s: float = 0.0
    """`scale-to-zero-pod-retention-period`."""
    activation_scale: int = 1
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_to_zero_grace_s: float = 30.0


@dataclass(frozen=True, kw_only=True)
class HttpCheck:
    path: str = "/"
    scheme: str = "HTTP"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReadinessCheck:
    """A probe, with Knative's defaults for a readinessProbe."""

    http: HttpCheck | None = None
    command: tuple[str, ...] = ()
    """Of `exec`. Without it and `http`, it is enough that the port accepts connections."""
    is_grpc: bool = False
    """True: the manifest asks for a gRPC probe, which is made as if it were `tcpSocket`."""
    port: int | None = None
    """None: the instance's own port."""
    initial_delay_s: float = 0.0
    period_s: float = 0.0
    """0: as often as queue-proxy would."""
    timeout_s: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    """Failures in a row after which an instance that was ready gets no requests, if there is a period."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    namespace: str
    service: str
    number: int
    env: Mapping[str, str]
    """The container's environment, with ConfigMaps and Secrets resolved."""
    timeout_s: float
    """`timeoutSeconds`: from the request's arrival at the activator to the first byte of the response."""
    image: str = ""
    """As the manifest names it. How it is started on this machine is decided by `local.revisions.launching`."""
    command: tuple[str, ...] = ()
    """The container's own `command`, which replaces the image's entry point; empty: it has none."""
    args: tuple[str, ...] = ()
    working_dir: str = ""
    """The container's `workingDir`, a folder of the image; empty: the image's own."""
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    cluster_local: bool = False
    readiness: ReadinessCheck = field(default_factory=ReadinessCheck)
    startup: ReadinessCheck | None = None
    """Must succeed before the readiness is probed; None: there is no startupProbe."""
    liveness: ReadinessCheck | None = None
    """Ends an instance that fails it; None: there is no livenessProbe."""
    is_deployment: bool = False
    """Whether it is a Deployment of Kubernetes, which has a fixed scale."""
    is_qualified: bool = False
    """True: its name alone would be ambiguous, so `label` has the namespace too."""

    @property
    def key(self) -> ServiceKey:
        return (self.namespace, self.service)

    @property
    def label(self) -> str:
        """Return how reports, metrics and logs name the Service."""
        return f"{self.namespace}/{self.service}" if self.is_qualified else self.service

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number:05d}"

    @property
    def container_concurrency(self) -> int:
        return self.scaling.container_concurrency
