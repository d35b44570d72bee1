"""The interface of all walkers, and the limits that they check on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from darkroom.contract.errors import (
    ImageCorruptError,
    ImageTooManyFramesError,
    ImageTooManyPixelsError,
    ImageTooManyScansError,
    ImageTruncatedError,
    InputUnsupportedError,
)
from darkroom.contract.limits import Limits
from darkroom.imaging.containers.contents import Contents
from darkroom.imaging.containers.edits import Edits
from darkroom.imaging.containers.inflow import Inflow, Steps
from darkroom.imaging.geometry import Size


@dataclass(frozen=True, kw_only=True)
class InputChecks:
    """Checks the limits on input. Limits on frames count only where all frames are asked for."""

    limits: Limits
    all_frames: bool

    def size(self, size: Size) -> None:
        """Check one frame. Raises ImageTooManyPixelsError."""
        most = self.limits.max_side_px
        if max(size.width, size.height) > most:
            raise ImageTooManyPixelsError(f"the picture is {size} px, the limit is {most} px a side")
        if size.pixels > self.limits.max_pixels:
            raise ImageTooManyPixelsError(
                f"the picture is {size} px, {size.pixels} pixels, the limit is {self.limits.max_pixels}"
            )
        self._total(size, 1)

    def frames(self, size: Size, frames: int) -> None:
        """Check all frames together. Raises ImageTooManyFramesError or ImageTooManyPixelsError."""
        if not self.all_frames:
            return
        if frames > self.limits.max_frames:
            raise ImageTooManyFramesError(
                f"the picture has {frames} frames or more, the limit is {self.limits.max_frames}"
            )
        self._total(size, frames)

    def scans(self, scans: int) -> None:
        """Raises ImageTooManyScansError."""
        if scans > self.limits.max_scans:
            raise ImageTooManyScansError(
                f"the picture has {scans} scans or more, the limit is {self.limits.max_scans}; "
                "store it with fewer, as encoders do by default"
            )

    def _total(self, size: Size, frames: int) -> None:
        if size.pixels * frames > self.limits.max_total_pixels:
            raise ImageTooManyPixelsError(
                f"the picture has {frames} frames of {size} px, {size.pixels * frames} pixels in all, "
                f"the limit is {self.limits.max_total_pixels}"
            )


class Walker(ABC):
    """Walks through one file. Feed it all chunks in order, then ask for the contents.

    With `edits` it also notes what the decoder need not or must not see.
    """

    format: str
    most_parts = 20_000
    """The most segments, chunks, blocks or boxes, besides the frames of an animation. A file of 32 MiB has a few
    thousand; millions of empty ones would cost seconds."""

    _parts = 0

    def __init__(self, checks: InputChecks, edits: Edits | None = None) -> None:
        self._checks = checks
        self._edits = edits
        self._inflow = Inflow()
        self._steps = self._walk()
        self._is_running = True
        # A frame of a GIF comes with an extension of its own.
        self._most_parts = self.most_parts + 2 * checks.limits.max_frames

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises RejectedError or PictureError as soon as the picture is known to be refused."""
        self._inflow.add(chunk)
        if self._is_running:
            self._is_running = next(self._steps, self) is not self
        if not self._is_running:
            # What follows is not looked at.
            self._inflow.position = len(self._inflow.data)

    def finish(self) -> Contents:
        """Return what was found. Raises ImageTruncatedError or ImageCorruptError."""
        return self._contents()

    @abstractmethod
    def _walk(self) -> Steps[None]:
        """Walk until the end of the pixels and what belongs to them."""

    @abstractmethod
    def _contents(self) -> Contents: ...

    def _count_part(self) -> None:
        self._parts += 1
        if self._parts > self._most_parts:
            raise InputUnsupportedError(
                f"the {self.format} picture consists of {self._parts} parts or more, the limit is {self._most_parts}; "
                "store it anew, without what does not belong to the picture"
            )

    @property
    def _counted_frames(self) -> int:
        """Return how many frames are counted at most: one over the limit says that there are too many."""
        return self._checks.limits.max_frames + 1

    def _truncated(self, missing: str) -> ImageTruncatedError:
        return ImageTruncatedError(f"the {self.format} picture ends early, after {self._inflow.total} bytes: {missing}")

    def _corrupt(self, fault: str) -> ImageCorruptError:
        return ImageCorruptError(f"the {self.format} picture is damaged at byte {self._inflow.offset}: {fault}")
