"""Renders a plan: decodes each group once and makes its renditions one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from darkroom.contract.errors import ImageCorruptError, ImageTruncatedError, PictureError, RejectedError
from darkroom.contract.limits import Limits
from darkroom.imaging import vips
from darkroom.imaging.colour import to_srgb
from darkroom.imaging.decode import Opened, open_picture, refuse_damage, strictly_then_tolerantly
from darkroom.imaging.facts import Facts
from darkroom.imaging.faults import decoding_errors
from darkroom.imaging.fine_detail import has_fine_detail
from darkroom.imaging.finishing import Rendition, finish
from darkroom.imaging.formats import TRAITS
from darkroom.imaging.probe import decodable
from darkroom.imaging.render import render
from darkroom.imaging.renditions.grouping import plan_renditions
from darkroom.imaging.renditions.members import Member, scaled_upright
from darkroom.imaging.renditions.plan import Group, Step
from darkroom.imaging.renditions.request import RenditionError, RenditionRequest, checked_renditions
from darkroom.imaging.resample import resample
from darkroom.imaging.shrinking import Shrink
from darkroom.imaging.vips import Image

# Those limits of fine detail that few photographs reach at any size.
_STEP_OF_LIMITS = 4

Outcome = tuple[str, Rendition | RenditionError]


def render_all(
    body: bytes,
    facts: Facts,
    requests: Sequence[RenditionRequest],
    limits: Limits,
    *,
    shrink: Shrink = Shrink.FAST,
) -> Iterator[Outcome]:
    """Yield each rendition as soon as it is encoded, with its name; the error of one does not stop the others.

    Each is what `render` makes of its parameters. Of a photograph, what is encoded with loss may differ from that by as
    little as the encoder hides. Equal input and equal requests in whatever order give equal bytes. The largest
    come first. `facts` are what `probe` returned for this body under these limits.

    Raises ValueError where two requests have the same name, and InternalError.
    """
    names = [request.name for request in requests]
    if len(set(names)) < len(names):
        raise ValueError(f"the names of renditions must be unique, were {names}")
    impossible = checked_renditions(facts, requests, limits)
    yield from impossible.items()
    plan = plan_renditions(facts, [request for request in requests if request.name not in impossible], shrink=shrink)
    for group in plan.groups:
        yield from _Run(body=body, group=group, limits=limits, shrink=shrink).outcomes()


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """A group's decoded picture, and its first member's pixels."""

    opened: Opened
    """Its pixels can be read again only where the group holds them."""
    head: _Resampled
    was_decoded_again: bool
    """Whether the picture was decoded larger than at first, because it has fine detail."""


@dataclass(frozen=True, kw_only=True)
class _Resampled:
    raw: Image
    """As stored, in the picture's own colours; in memory only if later members are resampled from it."""
    shown: Image
    """As stored, in sRGB, in memory."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Renders one group."""

    body: bytes
    group: Group
    limits: Limits
    shrink: Shrink
    _raw: dict[str, Image] = field(default_factory=dict)
    """The pixels of members from which later ones are resampled."""

    def alone(self, member: Member) -> Outcome:
        """Make a rendition by itself."""
        request = member.request
        return member.name, _attempted(
            lambda: render(
                self.body,
                request.parameters,
                self.limits,
                shrink=self.shrink,
                facts=self.group.facts,
                overlay=request.overlay,
            )
        )

    def outcomes(self) -> Iterator[Outcome]:
        if not self.group.is_shared:
            yield self.alone(self.group.head)
            return
        try:
            decoded = self._decoded()
        except (ImageCorruptError, ImageTruncatedError) as exc:
            yield from self._of_damaged(exc)
            return
        yield self._finished(self.group.head, self._kept(0, decoded.head).shown)
        if not self._is_exact and self._has_fine_detail(decoded):
            del decoded
            yield from self._exactly([step.member.request for step in self.group.steps[1:]])
            return
        for index, step in enumerate(self.group.steps[1:], start=1):
            yield self._made(index, step, decoded)

    @property
    def _is_exact(self) -> bool:
        return all(step.member.is_exact for step in self.group.steps[1:])

    def _has_fine_detail(self, decoded: _Decoded) -> bool:
        """Return whether what is resampled from other pixels than those of a job of its own would show it."""
        if decoded.was_decoded_again:
            return True
        with vips.internal_errors():
            return has_fine_detail(decoded.head.shown, step=_STEP_OF_LIMITS)

    def _exactly(self, requests: Sequence[RenditionRequest]) -> Iterator[Outcome]:
        self._raw.clear()
        plan = plan_renditions(self.group.facts, requests, shrink=self.shrink, exactly=True)
        for group in plan.groups:
            yield from replace(self, group=group).outcomes()

    def _of_damaged(self, error: RenditionError) -> Iterator[Outcome]:
        """A rendition that shows only a part may be made of the rows before the damage."""
        for member in self.group.members:
            yield (member.name, error) if member.shows_all else self.alone(member)

    # --- decoding ---------------------------------------------------------------------------------------------------

    def _decoded(self) -> _Decoded:
        facts = self.group.facts
        body = decodable(self.body, facts, all_frames=False)
        with decoding_errors(facts):
            return strictly_then_tolerantly(facts.format, lambda strict: self._decoded_once(body, strict=strict))

    def _decoded_once(self, body: bytes, *, strict: bool) -> _Decoded:
        facts, head = self.group.facts, self.group.head
        opened = self._held(
            open_picture(
                body, facts, scaled=scaled_upright(head.size, facts), shrink=self.shrink, frames=1, strict=strict
            )
        )
        resampled = self._from_decoded(opened, 0)
        if opened.anew is None:
            return _Decoded(opened=opened, head=resampled, was_decoded_again=False)
        if strict:
            # Looking at the pixels empties libvips' buffer of messages.
            refuse_damage()
        if not has_fine_detail(resampled.shown, step=opened.step):
            return _Decoded(opened=opened, head=resampled, was_decoded_again=False)
        opened = self._held(opened.anew())
        return _Decoded(opened=opened, head=self._from_decoded(opened, 0), was_decoded_again=True)

    def _held(self, opened: Opened) -> Opened:
        return replace(opened, strip=opened.strip.copy_memory()) if self.group.holds_decoded else opened

    # --- making renditions ------------------------------------------------------------------------------------------

    def _made(self, index: int, step: Step, decoded: _Decoded) -> Outcome:
        member = step.member
        if decoded.was_decoded_again and member.is_exact:
            # A job of its own might find that the part it shows has none.
            return self.alone(member)
        with vips.internal_errors():
            resampled = self._kept(index, self._resampled(index, step, decoded.opened))
            if self._must_be_decoded_finer(member, decoded) and has_fine_detail(
                resampled.shown, step=decoded.opened.step
            ):
                return self.alone(member)
        return self._finished(member, resampled.shown)

    def _must_be_decoded_finer(self, member: Member, decoded: _Decoded) -> bool:
        """Return whether a job of its own would look for fine detail after decoding as large as the group."""
        looks = member.scale.first != member.scale.if_fine
        return looks and decoded.opened.anew is not None and member.scale.first == self.group.scale.first

    def _resampled(self, index: int, step: Step, decoded: Opened) -> _Resampled:
        if step.source is None:
            return self._from_decoded(decoded, index)
        larger = Opened(strip=self._raw[step.source.name])
        if self.group.is_last_use(index, step.source):
            del self._raw[step.source.name]
        return self._from_pixels(larger, index, comes_premultiplied=False)

    def _from_decoded(self, decoded: Opened, index: int) -> _Resampled:
        traits = TRAITS[self.group.facts.format]
        return self._from_pixels(decoded, index, comes_premultiplied=traits.comes_premultiplied)

    def _from_pixels(self, opened: Opened, index: int, *, comes_premultiplied: bool) -> _Resampled:
        member = self.group.steps[index].member
        raw = resample(
            opened.strip,
            1,
            member.work,
            exact_edges=member.prepared.parameters.sharpen is not None,
            extent=opened.extent,
            size=opened.size,
            comes_premultiplied=comes_premultiplied,
        )
        if self._is_source(index):
            raw = raw.copy_memory()
        return _Resampled(raw=raw, shown=to_srgb(raw, self.group.facts).copy_memory())

    def _kept(self, index: int, resampled: _Resampled) -> _Resampled:
        if self._is_source(index):
            self._raw[self.group.steps[index].member.name] = resampled.raw
        return resampled

    def _is_source(self, index: int) -> bool:
        return not self.group.is_last_use(index, self.group.steps[index].member)

    def _finished(self, member: Member, shown: Image) -> Outcome:
        upright = vips.upright(shown, member.prepared.upright.orientation)
        return member.name, _attempted(
            lambda: finish(
                upright,
                member.prepared,
                self.limits,
                original=self.body if member.only_reencodes else None,
                overlay=member.request.overlay,
            )
        )


def _attempted(make: Callable[[], Rendition]) -> Rendition | RenditionError:
    try:
        return make()
    except (PictureError, RejectedError) as exc:
        return exc
