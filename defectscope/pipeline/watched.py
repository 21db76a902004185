"""A folder into which frames are being written, as a series that grows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.calibration import Calibration
from defectscope.core.datasets import PAGE
from defectscope.core.errors import (
    DamagedFrameError,
    DefectscopeError,
    InputError,
    InputGoneError,
    UsageError,
)
from defectscope.core.file_order import natural_key
from defectscope.core.frames import FrameSequence
from defectscope.pipeline.calibrating import merged_calibration, without_laws
from defectscope.pipeline.input_files import ReaderTable
from defectscope.pipeline.input_notes import SeriesNotes
from defectscope.pipeline.inputs import open_inputs
from defectscope.pipeline.unreadable_file import UnreadableFile
from defectscope.pipeline.watched_numbers import WatchedNumbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.plugins.host import PluginHost

__all__ = ["WatchedFolder"]

# A file that has not changed for so long is whole; one that is empty or cannot be read is tried
# again until it is that old.
SETTLED_S, GIVEN_UP_S = 0.15, 3.0
# Frames kept in memory between the look at a file and the work on it.
MOST_KEPT = 8


class WatchedFolder(FrameSequence):
    """The frames of a folder in the order in which they appear.

    The frame index is the number at the end of a file's name, where the first file has one; else
    frames count from 0. A file is taken when its size has not changed for 0.15 s. One that cannot
    be read 3 s later is a damaged frame.

    Parameters
    ----------
    folder
        Where frames are written.
    host
        Plugins, for readers.
    calibration
        What was given about the scale; it overrules what the first file says.
    clock
        Seconds; a clock that only rises, for the computer's may be set while frames come.

    Attributes
    ----------
    came_s : list of float
        When the file of each frame was last seen to grow, by `clock`.
    in_order : bool
        Whether files are taken in the order of their names alone: a file waits for those before
        it that are being written, and one that comes too late is left out.
    unrelated : bool
        Whether frames are unrelated images, without times and doses by their numbers.

    Raises
    ------
    UsageError
        There is no such folder.
    """

    def __init__(
        self,
        folder: Path,
        host: PluginHost,
        calibration: Calibration,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not folder.is_dir():
            raise UsageError(
                f"--watch takes a folder into which frames are written; found {folder}"
            )
        self.folder, self.calibration, self._host, self.clock = folder, calibration, host, clock
        self.warnings: list[str] = []
        self.came_s: list[float] = []
        self._readers = ReaderTable(host)
        self._sizes: dict[Path, tuple[int, float]] = {}
        self._known: set[str] = set()
        self.in_order = self.unrelated = False
        self._given, self._notes = calibration, SeriesNotes(self.warnings)
        self._places: list[tuple[FrameSequence, int]] = []
        self._files: list[Path] = []
        self._taken: set[int] = set()
        self._numbers = WatchedNumbers(self._warn)
        self._read: dict[int, NDArray[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("a watched folder stays in its process")

    def poll(self) -> int:
        """Look for new frames, and return how many were added.

        Raises
        ------
        InputGoneError
            The folder has gone.
        """
        before = len(self._places)
        try:
            with os.scandir(self.folder) as entries:
                # Most names are known: they must cost next to nothing.
                new = [e.name for e in entries if e.name not in self._known and e.is_file()]
        except OSError as error:
            raise self._gone(error) from error
        for name in sorted(new, key=natural_key):
            if not self._is_frame(name):
                self._known.add(name)
            elif self._is_whole(self.folder / name):
                self._take(self.folder / name)
            if self.in_order and name not in self._known and self._may_still_come(name):
                break
        return len(self._places) - before

    @property
    def scale_is_known(self) -> bool:
        """Whether a file that can be read has had its say about the scale."""
        return self._notes.calibration is not None

    def give_up(self) -> int:
        """Take the files that were waited for as they are, and return how many frames they add."""
        before = len(self._places)
        for path in sorted(self._sizes, key=lambda path: natural_key(path.name)):
            if path.is_file() and self.clock() - self._sizes[path][1] >= SETTLED_S:
                self._take(path, at_last=True)
        return len(self._places) - before

    def _may_still_come(self, name: str) -> bool:
        seen = self._sizes.get(self.folder / name)
        return seen is not None and self.clock() - seen[1] < GIVEN_UP_S

    def recall(self, frames: Sequence[tuple[int, str]]) -> None:
        """Take the files of frames that are finished, in the order in which they came.

        Parameters
        ----------
        frames
            Frame index and source name of each.

        Raises
        ------
        UsageError
            A file is not there any more, or holds other frames than it did.
        """
        while len(self._places) < len(frames):
            start = len(self._places)
            source = frames[start][1]
            path = self.folder / source
            if not path.is_file():
                path = self.folder / PAGE.sub("", source)
            if path.is_file():
                self._known.add(path.name)
                frames_of_file = self._opened(path)
                self._add(path, frames_of_file, self.clock())
                # Reading opens it again: so many files cannot all be open.
                frames_of_file.close()
            now = list(zip(self.indices[start:], self.names[start:], strict=True))
            if not now or now[: len(frames) - start] != list(frames[start : start + len(now)]):
                raise UsageError(
                    f"the run cannot be resumed, because its frame {source} is not in "
                    f"{self.folder} as it was; put the file back, or use --overwrite"
                )

    def up_to(self, count: int) -> FrameSequence:
        """Return the first `count` frames, and the files that they are from."""
        chosen = self[:count]
        chosen.paths = tuple(dict.fromkeys(self._files[:count]))
        return chosen

    def _is_frame(self, name: str) -> bool:
        return not name.startswith(".") and self._readers.suffix_of(name) is not None

    def _is_whole(self, path: Path) -> bool:
        now = self.clock()
        try:
            size = path.stat().st_size
        except OSError:
            return False
        if self._sizes.get(path, (-1, 0.0))[0] != size:
            self._sizes[path] = (size, now)
            return False
        age = now - self._sizes[path][1]
        return age >= (SETTLED_S if size else GIVEN_UP_S)

    def _opened(self, path: Path) -> FrameSequence:
        try:
            return open_inputs([path], self._host)
        except InputError as error:
            return UnreadableFile(path.name, str(error))

    def _take(self, path: Path, at_last: bool = False) -> None:
        pixels: list[NDArray[Any]] = []
        try:
            frames: FrameSequence = open_inputs([path], self._host)
            pixels = self._read_through(frames)
        except DefectscopeError as error:
            if not at_last and self.clock() - self._sizes[path][1] < GIVEN_UP_S:
                return  # it may still be written, slowly
            if not isinstance(error, InputError):
                raise
            self._expect_folder()
            # What can be read of it is; the rest are damaged frames, as in a plain run.
            frames = self._opened(path)
        frames.close()
        self._known.add(path.name)
        self._add(path, frames, self._sizes.pop(path)[1], pixels)

    def _read_through(self, frames: FrameSequence) -> list[NDArray[Any]]:
        """Read all frames of a file, and return the first of them, as far as there is room."""
        room, kept = MOST_KEPT - len(self._read), []
        for position in range(len(frames)):
            pixels = frames.read(position)
            if position < room:
                kept.append(pixels)
        return kept

    def _add(
        self,
        path: Path,
        frames: FrameSequence,
        came_s: float,
        pixels: Sequence[NDArray[Any]] = (),
    ) -> None:
        self._look_at_scale(path, frames)
        self.read_by = {**self.read_by, **frames.read_by}
        for position in range(len(frames)):
            index = self._numbers.index(path, len(frames), self.indices)
            if index in self._taken:
                self._warn(f"{path.name} has the frame index {index} of an earlier file; left out")
                continue
            if self.in_order and self._is_late(path, index):
                self._warn(
                    f"{path.name} came after {self._files[-1].name}, and a vote or registration "
                    "takes frames in their order; left out, run again on the finished folder"
                )
                continue
            if position < len(pixels) and len(self._read) < MOST_KEPT:
                self._read[len(self._places)] = pixels[position]
            self._places.append((frames, position))
            self._files.append(path)
            self._taken.add(index)
            self.indices = (*self.indices, index)
            self.names = (*self.names, frames.names[position])
            self.came_s.append(came_s)
        self.paths = (*self.paths, path)

    def _look_at_scale(self, path: Path, frames: FrameSequence) -> None:
        """Take the calibration of the first file, and note what is to be said of this one."""
        self._notes.add(path.name, (t.removeprefix(f"{path.name}: ") for t in frames.warnings))
        if isinstance(frames, UnreadableFile):
            return
        first = self._notes.calibration is None
        self._notes.compare(path.name, frames.calibration)
        if first:
            merged = merged_calibration(frames.calibration, self._given, {}, self.warnings)
            self.calibration = without_laws(merged, self.warnings) if self.unrelated else merged

    def _is_late(self, path: Path, index: int) -> bool:
        if not self._files:
            return False
        before = natural_key(path.name) < natural_key(self._files[-1].name)
        return before or index < self.indices[-1]

    def _expect_folder(self) -> None:
        """Raise InputGoneError where not one file has gone, but all of them and their folder."""
        try:
            with os.scandir(self.folder) as entries:
                next(entries, None)
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> InputGoneError:
        return InputGoneError(
            f"the watched folder {self.folder} has gone ({error.strerror}); bring it back"
        )

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def keep(self, position: int, pixels: NDArray[Any]) -> None:
        """Keep pixels that were read until they are read again."""
        self._read[position] = pixels

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels at a position; they were read once to see that the file is whole."""
        if position in self._read:
            return self._read.pop(position)
        frames, own = self._places[position]
        try:
            return frames.read(own)
        except InputGoneError as error:
            self._expect_folder()
            # A watch may outlive its files: what writes them may tidy up, too.
            raise DamagedFrameError(f"{self.names[position]}: its file has gone") from error
        finally:
            if own == len(frames) - 1:
                frames.close()
