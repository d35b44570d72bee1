"""The attempt of a job with several results: fetch once, render one by one, store and record each as it is made.

What an earlier attempt recorded is not made again. A rendition that cannot be made fails the job at the end, after the
others; whatever else goes wrong ends the attempt, and the next one makes what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from darkroom.adapters.jobs import LEASE_S, Lease, Outcome
from darkroom.adapters.jobs.result_metadata import result_metadata
from darkroom.contract.errors import DarkroomError, RejectedError, RenditionFailedError
from darkroom.contract.jobs import JobFailure, JobResult, Made, rendition_key
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.imaging import Rendition, probe
from darkroom.serving.overlays import fetch_overlay
from darkroom.serving.picture import Picture, Renditions
from darkroom.serving.resources import Resources
from darkroom.serving.steps import LeaseLostError, StoredResult, result_of, step

Render = Callable[[RenditionsParameters, Picture], Renditions]


@dataclass
class RenditionsAttempt:
    """One attempt, under one lease."""

    resources: Resources
    lease: Lease
    render: Render
    _timings_ms: dict[str, int] = field(default_factory=dict)
    _cpu_s: float = 0.0
    _held_at: float = field(default_factory=time.monotonic)
    """When the store last confirmed the lease to this attempt."""
    _made: dict[str, Made] = field(default_factory=dict)

    def run(self) -> StoredResult:
        """Make what is missing. Raises RenditionFailedError if a rendition cannot be made, LeaseLostError, and what
        fetching and storing raise.
        """
        self._made = dict(self.lease.record.made)
        asked = self.lease.record.parsed_parameters()
        if not isinstance(asked, RenditionsParameters):
            raise TypeError(f"a job of type {self.lease.record.type} has one result")
        missing = asked.without(self._made)
        if missing.renditions:
            self._make(missing)
        failed = {name: made for name, made in self._made.items() if isinstance(made, JobFailure)}
        if failed:
            raise _failure(failed, of=len(asked.renditions))
        return StoredResult(result=None, timings_ms=self._timings_ms, render_cpu_ms=round(self._cpu_s * 1000, 1))

    def _make(self, missing: RenditionsParameters) -> None:
        storage, limits = self.resources.storage, self.resources.settings.limits
        with step(self._timings_ms, "fetch") as span:
            body = storage.get(self.lease.record.storage_key, max_bytes=limits.max_input_bytes)
            overlays, lost = self._fetch_overlays(missing)
            span.set(size_bytes=len(body) + sum(map(len, overlays.values())), renditions=len(missing.renditions))
        for name, error in lost.items():
            self._record(name, error)
        left = missing.without(lost)
        if left.renditions:
            facts = probe(body, limits, all_frames=False)
            picture = Picture(body=body, facts=facts, limits=limits, overlays=overlays)
            for name, made in self._rendered(iter(self.render(left, picture))):
                self._record(name, made if isinstance(made, DarkroomError) else self._store(name, made))

    def _fetch_overlays(self, missing: RenditionsParameters) -> tuple[Mapping[str, bytes], Mapping[str, DarkroomError]]:
        """Return the overlays by their keys, and the renditions of which one is lost."""
        overlays: dict[str, bytes] = {}
        errors: dict[str, RejectedError] = {}
        for key in missing.overlay_keys:
            try:
                overlays[key] = fetch_overlay(self.resources.storage, key, self.resources.settings.limits)
            except RejectedError as exc:
                errors[key] = exc
        lost = {
            name: errors[key]
            for name, rendition in missing.renditions.items()
            for key in rendition.parameters.overlay_keys
            if key in errors
        }
        return overlays, lost

    def _rendered(self, renditions: Renditions) -> Iterator[tuple[str, Rendition | DarkroomError]]:
        """Yield each rendition as it is made; only the time of making it counts as rendering."""
        while True:
            with step(self._timings_ms, "render") as span:
                cpu_began_s = time.process_time()
                name, made = next(renditions, ("", None))
                cpu_s = time.process_time() - cpu_began_s
                self._cpu_s += cpu_s
                span.set(rendition=name, cpu_ms=round(cpu_s * 1000, 1))
                if isinstance(made, Rendition):
                    span.set(format=made.extension, width_px=made.width, height_px=made.height)
            if made is None:
                return
            yield name, made

    def _store(self, name: str, rendition: Rendition) -> JobResult:
        if time.monotonic() - self._held_at > LEASE_S:
            # Another worker may already have stored it, perhaps with a redrive's parameters.
            self._hold(self.resources.jobs.renew(self.lease))
        key = rendition_key(self.lease.job_id, name, rendition.extension)
        with step(self._timings_ms, "store") as span:
            span.set(rendition=name, size_bytes=len(rendition.body))
            result = result_of(key, rendition)
            self.resources.storage.put(
                key, rendition.body, content_type=rendition.content_type, metadata=result_metadata(result)
            )
        return result

    def _record(self, name: str, made: JobResult | DarkroomError) -> None:
        with step(self._timings_ms, "store") as span:
            span.set(rendition=name)
            self._hold(self.resources.jobs.rendered(self.lease, name, made))
        if isinstance(made, DarkroomError):
            attempts = self.lease.record.attempts
            self._made[name] = JobFailure(code=made.code, message=made.detail, attempts=attempts)
        else:
            self._made[name] = made

    def _hold(self, outcome: Outcome) -> None:
        if outcome is Outcome.STALE:
            raise LeaseLostError
        self._held_at = time.monotonic()


def _failure(failed: Mapping[str, JobFailure], *, of: int) -> RenditionFailedError:
    shown = "; ".join(f"{name}: {failure.code}: {failure.message}" for name, failure in failed.items())
    return RenditionFailedError(f"{len(failed)} of {of} renditions cannot be made: {shown}"[:1000])
