"""All revisions of the manifests, each with a pool and a scaler, which are started and drained together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from darkroom.local.errors import LocalRuntimeError
from darkroom.local.reporting import Report
from darkroom.local.revisions.activator import Activator
from darkroom.local.revisions.binding import Binding, with_binding
from darkroom.local.revisions.instances import InstanceContext
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.scaler import Scaler
from darkroom.manifests import Destination
from darkroom.manifests.revision import Revision, ServiceKey

READY_WITHIN_S = 60.0


class Fleet:
    def __init__(self, limit: InstanceLimit, report: Report) -> None:
        self._limit = limit
        self._report = report
        self.pools: dict[ServiceKey, Pool] = {}
        self.scalers: dict[ServiceKey, Scaler] = {}
        self.activator = Activator(poke=self._poke)

    def add(self, revision: Revision, context: InstanceContext) -> None:
        pool = Pool(revision, context, self._limit, self._report)
        self.activator.serve(pool)
        self.pools[revision.key] = pool
        self.scalers[revision.key] = Scaler(pool, self.activator.meter(revision.key), self._report)

    async def bind(self, bindings: Mapping[ServiceKey, Binding], sink_url: Callable[[Destination], str]) -> None:
        """Replace each bound Service's revision with one that has its K_SINK, even if that does not start yet.

        Otherwise a function that is broken now would have no K_SINK when it is mended.
        """
        await asyncio.gather(
            *(
                pool.replace(with_binding(pool.revision, binding, sink_url(binding.sink)), if_it_starts=False)
                for pool in self.pools.values()
                if (binding := bindings.get(pool.revision.key)) is not None
            )
        )

    async def wait_until_ready(self, logs: Path) -> None:
        """Wait until all Services with a min-scale, which users call first, are ready. Raises LocalRuntimeError."""
        ends_at = time.monotonic() + READY_WITHIN_S
        awaited = [pool for pool in self.pools.values() if _is_awaited(pool)]
        while missing := [pool for pool in awaited if not _is_up_to_date(pool)]:
            if time.monotonic() > ends_at:
                said = ", ".join(_why_not_ready(pool) for pool in missing)
                raise LocalRuntimeError(f"not ready within {READY_WITHIN_S:g} s: {said}; see {logs}")
            await asyncio.sleep(0.01)

    async def close_pools(self, *, drain: bool = True) -> None:
        """End all instances; with `drain`, after their requests. A job interrupted by an end is found by its lease."""
        await asyncio.gather(*(pool.close(drain=drain) for pool in self.pools.values()))

    def _poke(self, revision: Revision) -> None:
        self.scalers[revision.key].poke()


def _is_awaited(pool: Pool) -> bool:
    """Deployments are not awaited: their number says nothing about who calls them first, and some never listen."""
    revision = pool.revision
    return revision.scaling.min_scale > 0 and not revision.is_deployment and not pool.not_run


def _is_up_to_date(pool: Pool) -> bool:
    return any(instance.revision is pool.revision for instance in pool.ready)


def _why_not_ready(pool: Pool) -> str:
    trouble = pool.trouble
    if trouble is None:
        return pool.revision.label
    return f"{pool.revision.label} ({trouble.reason}, {trouble.failures} times)"
