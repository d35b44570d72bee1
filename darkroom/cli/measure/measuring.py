"""One measurement: what is measured in which order, on a stack that is running."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median

from darkroom.cli.admin_client import AdminClient
from darkroom.cli.measure.probing import Probe, Subject
from darkroom.simulate.observed.measured import Measured
from darkroom.simulate.observed.model import InstanceStart


def measure(
    admin: AdminClient,
    subject: Subject,
    send: Callable[[], None],
    *,
    times: int,
    starts: int,
    at_once: Sequence[int],
    tell: Callable[[str], None],
) -> Measured:
    """Measure service times first, then starts: one at a time, and as many at once as asked for. Raises
    MeasurementError.
    """
    probe = Probe(admin=admin, subject=subject, send=send, tell=tell)
    service_s = probe.service_times_s(times)
    found: list[InstanceStart] = []
    for number in range(1, starts + 1):
        found += probe.starts(1, service_s=median(service_s))
        tell(f"start {number} of {starts}: {found[-1].took_s:.2f} s")
    for count in at_once:
        together = probe.starts(count, service_s=median(service_s))
        longest = max(start.took_s for start in together)
        tell(f"{len(together)} starts for a load of {count} instances: up to {longest:.2f} s each")
        found += together
    return Measured(
        service=subject.service,
        trigger=subject.trigger,
        container_concurrency=subject.container_concurrency,
        service_s=tuple(service_s),
        starts=tuple(found),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
