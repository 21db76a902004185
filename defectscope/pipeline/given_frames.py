"""Frames that somebody already holds in memory, as a series."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from defectscope.core.errors import UsageError
from defectscope.core.frames import Frame, FrameSelection, FrameSequence

__all__ = ["GivenFrames", "given_digests"]


class GivenFrames(FrameSequence):
    """Frames that somebody already holds in memory."""

    def __init__(self, frames: Iterable[Frame] | Frame) -> None:
        # One frame is a series; what is neither is refused below.
        self._frames = list(frames) if isinstance(frames, Iterable) else [frames]
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

    def digest(self) -> str:
        """Return a digest of the pixels of all frames, in their order."""
        digest = hashlib.sha256()
        for frame in self._frames:
            digest.update(f"{frame.pixels.dtype.str} {frame.pixels.shape}\n".encode())
            digest.update(np.ascontiguousarray(frame.pixels).data)
        return f"sha256:{digest.hexdigest()}"


def given_digests(frames: FrameSequence) -> dict[str, str]:
    """Return a digest of frames in memory, by what they are; nothing of those in files.

    Parameters
    ----------
    frames
        A series. One that is neither in files nor in memory is not read for this.
    """
    while isinstance(frames, FrameSelection):
        frames = frames.whole
    if not isinstance(frames, GivenFrames):
        return {}
    return {f"{len(frames)} frames in memory": frames.digest()}
