"""Frames that somebody already holds in memory, as a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from defectscope.core.errors import UsageError
from defectscope.core.frames import Frame, FrameSequence

__all__ = ["GivenFrames"]


class GivenFrames(FrameSequence):
    """Frames that somebody already holds in memory."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)
        for frame in self._frames:
            if not isinstance(frame, Frame):
                raise UsageError(
                    "a pipeline runs on what defectscope.open returns, or on a list of "
                    f"defectscope.Frame; found {type(frame).__name__}"
                )
        self.indices = tuple(frame.index for frame in self._frames)
        self.names = tuple(f.source or f"frame {f.index}" for f in self._frames)
        self.warnings = []
        if self._frames:
            self.calibration = self._frames[0].calibration
        if len(set(self.indices)) < len(self.indices):
            raise UsageError("every frame of a series needs an index of its own")
        if any(frame.calibration != self.calibration for frame in self._frames):
            self.warnings.append(
                "the frames differ in calibration; that of the first is used for all"
            )

    def read(self, position: int) -> Any:
        """Return the pixels at a position."""
        return self._frames[position].pixels
