"""Frame indices of files that come one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from defectscope.core.frames import stem_and_number

__all__ = ["WatchedNumbers"]


class WatchedNumbers:
    """Gives files the number of their name, where the first file has one; else counts.

    Parameters
    ----------
    warn
        Called with a sentence where a later file is not named as the first one.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        # Of the first file, where that has a number.
        self._stem: str | None = None
        self._begun = self._warned = False

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
        if self._stem is not None and (named is None or named[0] != self._stem):
            self._say_other(path)
        if self._stem is None or named is None:
            return max(before, default=-1) + 1
        return named[1]

    def _say_other(self, path: Path) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"{path.name} is not named as the first file, {self._stem} and a number; a run on "
                "the finished folder counts its frames from 0, and so has other times and doses"
            )
