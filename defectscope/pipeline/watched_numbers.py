"""Frame indices of files that come one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from defectscope.core.frames import stem_and_number
from defectscope.pipeline.input_notes import name_pattern

__all__ = ["WatchedNumbers"]


class WatchedNumbers:
    """Gives files the number of their name, where the first file has one; else counts.

    Parameters
    ----------
    warn
        Called with a sentence where a later file is not named like the first one.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        # Of the first file, where that has a number.
        self._stem: str | None = None
        self._begun = self._warned = False
        # Indices of the files that are not named like the first one.
        self._counted: set[int] = set()

    def index(self, path: Path, frames: int, before: Sequence[int]) -> int:
        """Return the frame index of the next frame of a file.

        Parameters
        ----------
        path, frames
            The file, and how many frames it holds.
        before
            Indices of the frames that came before.
        """
        named = stem_and_number(path.stem) if frames == 1 else None
        if not self._begun:
            self._begun, self._stem = True, None if named is None else named[0]
        following = max(before, default=-1) + 1
        if self._stem is None:
            return following
        if named is None or named[0] != self._stem:
            self._say_other(path, self._stem)
        elif named[1] not in self._counted:
            return named[1]
        # A number of another series may be taken, and no file is left out for that.
        self._counted.add(following)
        return following

    def _say_other(self, path: Path, stem: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"{path.name} is not named like the first file ({name_pattern(stem)}) and gets the "
                "index after the highest; a run on the finished folder counts its frames from 0, "
                "and so has other times and doses"
            )
