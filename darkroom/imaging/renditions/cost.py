"""Estimates what all renditions of a picture will cost together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from darkroom.contract.errors import PictureError, RejectedError
from darkroom.imaging.cost import Cost, CostClass, cost_class, decode_cost, output_cost
from darkroom.imaging.facts import Facts
from darkroom.imaging.renditions.grouping import plan_renditions
from darkroom.imaging.renditions.members import member_of
from darkroom.imaging.renditions.plan import Group
from darkroom.imaging.renditions.request import RenditionRequest
from darkroom.imaging.shrinking import Shrink


def renditions_cost(
    facts: Facts, requests: Iterable[RenditionRequest], *, overlays: Mapping[str, Facts] | None = None
) -> Cost:
    """Estimate the job: each decode once, and each rendition's own work. Impossible renditions cost nothing.

    The time is that for a photograph; a picture with fine detail may take as long as jobs of their own.

    `overlays` are the facts of the overlays, by the names of the renditions.
    """
    possible = [request for request in requests if _is_possible(request, facts)]
    plan, if_fine = (plan_renditions(facts, possible, exactly=exactly) for exactly in (False, True))
    return Cost(
        cpu_ms=sum(_cpu_ms(group, overlays or {}) for group in plan.groups),
        memory_bytes=max(plan.memory_bytes, if_fine.memory_bytes) + _overlays_bytes(overlays),
    )


def renditions_cost_class(facts: Facts, requests: Sequence[RenditionRequest], *, cost: Cost | None = None) -> CostClass:
    """Classify the job by the cost of all renditions, where the caller has estimated it already, and by the formats of
    each.
    """
    total = cost or renditions_cost(facts, requests)
    classes = {cost_class(facts, request.parameters, cost=total) for request in requests}
    return CostClass.HEAVY if CostClass.HEAVY in classes else CostClass.STANDARD


def _is_possible(request: RenditionRequest, facts: Facts) -> bool:
    try:
        member_of(request, facts, Shrink.FAST, exactly=False)
    except (PictureError, RejectedError):
        return False
    return True


def _cpu_ms(group: Group, overlays: Mapping[str, Facts]) -> int:
    decoding = decode_cost(group.facts, frames=group.head.prepared.frames).cpu_ms
    return decoding + sum(
        output_cost(
            group.facts,
            member.prepared.parameters,
            plan=member.prepared.plan,
            overlay=overlays.get(member.name),
        ).cpu_ms
        for member in group.members
    )


def _overlays_bytes(overlays: Mapping[str, Facts] | None) -> int:
    """Return the most that the decoder of one overlay holds."""
    return max((decode_cost(facts).memory_bytes for facts in (overlays or {}).values()), default=0)
