"""Opening the inputs of a run: files and folders become one lazy series of frames."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from defectscope.core.base import Reader, Runtime
from defectscope.core.calibration import Calibration
from defectscope.core.errors import (
    ComponentError,
    DamagedFrameError,
    DefectscopeError,
    InputError,
    InputGoneError,
)
from defectscope.core.file_order import natural_key
from defectscope.core.frames import DTYPES, FrameSequence, frame_indices
from defectscope.pipeline.gone_files import is_there, why_gone
from defectscope.pipeline.input_files import ReaderTable, input_files
from defectscope.pipeline.input_notes import (
    SeriesNotes,
    broken_numbering,
    one_after_the_other,
    without_frames,
)
from defectscope.pipeline.reader_options import ReaderOptions, check_readers_used
from defectscope.pipeline.source_names import source_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.plugins.host import PluginHost

__all__ = ["InputSeries", "open_inputs"]

# Up to this number every file is opened to count its frames. Of more, only the first of each
# kind is, and those so much larger than it that they may hold more than one.
COUNT_ALL_FILES = 200
LARGER = 1.5


@dataclass(frozen=True)
class _File:
    path: Path
    reader: str
    count: int = 1


def open_inputs(
    paths: Sequence[Path],
    host: PluginHost,
    runtime: Runtime | None = None,
    options: ReaderOptions | None = None,
) -> InputSeries:
    """Open files and folders as one series.

    Parameters
    ----------
    paths
        Images, stacks, videos, and folders of them. Of a folder the files directly in it are
        taken whose suffix a reader knows, in natural order; hidden files are not.
    host
        Where readers are looked up by suffix.
    runtime
        What the readers may use.
    options
        Options of readers, by ``NAME`` or ``distribution/NAME``.

    Returns
    -------
    InputSeries
        Images of one frame each are one series, in the order of their frame indices. As soon as
        a stack or a video is among the files, frames count from 0 in the order of the files.

    Raises
    ------
    InputError
        A path is missing or unreadable, of a kind that nothing reads, or a folder without images;
        or the only file given cannot be read. One file of many that cannot be read is a damaged
        frame, found when it is read.
    MissingPackageError
        A format needs a package that is not installed.
    OptionError
        An option is not possible, or of a reader that is not used.
    """
    warnings: list[str] = []
    options = options or {}
    table = ReaderTable(host)
    files = input_files(paths, table, warnings)
    readers: dict[str, Reader] = {}
    versions: dict[str, str] = {}
    named: list[_File] = []
    for path in files:
        entry = table.reader_for(path)
        key = f"{entry.plugin.distribution}/{entry.name}"
        if key not in readers:
            given = {**options.get(entry.name, {}), **options.get(key, {})}
            versions[key] = entry.plugin.version
            readers[key] = host.build("readers", key, given, runtime, alias=entry.name)
        named.append(_File(path, key))
    check_readers_used(options, readers)
    series = InputSeries(named, readers, warnings)
    series.reader_options, series.read_by = dict(options), versions
    return series


class InputSeries(FrameSequence):
    """The frames of several files.

    One file is open at a time; one with a single image is closed as soon as that is read. A
    pickled series opens its files again where it is used.

    Attributes
    ----------
    paths : tuple of pathlib.Path
        The files, in the order of their frames.
    """

    def __init__(
        self, files: Sequence[_File], readers: dict[str, Reader], warnings: list[str]
    ) -> None:
        self.warnings = warnings
        self._readers = readers
        self._opened_readers: set[str] = set()
        self._current: tuple[int, FrameSequence] | None = None
        self._notes = SeriesNotes(warnings)
        self._files = self._counted(list(files))
        if all(file.count == 1 for file in self._files):
            self._arrange_images()
        else:
            self._number_positions()
        self._starts = [0, *itertools.accumulate(file.count for file in self._files)][:-1]
        self.paths = tuple(file.path for file in self._files)
        # Such as links that lead nowhere.
        self._never_there = frozenset(path for path in self.paths if not is_there(path))
        if not self.indices:
            raise InputError(f"{', '.join(file.path.name for file in files)}: there is no frame")
        self.calibration = self._notes.calibration or Calibration()
        if len(self._files) > 1 and any(file.count > 1 for file in self._files):
            self.calibration = one_after_the_other(self.calibration, warnings)

    def _arrange_images(self) -> None:
        folders = list(dict.fromkeys(file.path.parent for file in self._files))
        order = {folder: k for k, folder in enumerate(folders)}
        natural = sorted(
            self._files, key=lambda f: (order[f.path.parent], natural_key(f.path.name))
        )
        indices = frame_indices([file.path.stem for file in natural])
        pairs = sorted(zip(indices, natural, strict=True), key=lambda pair: pair[0])
        self.indices = tuple(index for index, _ in pairs)
        self._files = [file for _, file in pairs]
        self.names = tuple(source_names([file.path for file in self._files]))
        text = broken_numbering(self.names, [file.path for file in self._files])
        if text is not None:
            self.warnings.append(text)

    def _number_positions(self) -> None:
        self.indices = tuple(range(sum(file.count for file in self._files)))
        names = source_names([file.path for file in self._files])
        self.names = tuple(
            name if file.count == 1 else f"{name}#{k}"
            for name, file in zip(names, self._files, strict=True)
            for k in range(file.count)
        )

    def _counted(self, files: list[_File]) -> list[_File]:
        counted: list[_File] = []
        size_of_one: dict[str, float] = {}
        empty: list[str] = []
        many = len(files) > COUNT_ALL_FILES
        for file in files:
            known = many and file.reader in size_of_one
            size = _size(file.path) if many and not self._holds_one(file) else 0
            if known and size <= LARGER * size_of_one[file.reader]:
                counted.append(file)
                continue
            try:
                sequence = self._open(file)
            except InputError:
                if len(files) == 1:
                    raise
                counted.append(file)
                continue
            count = len(sequence)
            if count == 1:
                size_of_one[file.reader] = max(size, size_of_one.get(file.reader, 0))
            if count > 0:
                counted.append(_File(file.path, file.reader, count))
            else:
                empty.append(file.path.name)
            if len(files) == 1 and count > 0:
                self._current = (0, sequence)  # so that it is not opened again
            else:
                sequence.close()
        if empty and counted:
            self.warnings.append(without_frames(empty))
        return counted

    def _holds_one(self, file: _File) -> bool:
        return bool(getattr(self._readers[file.reader], "one_image_a_file", False))

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels at a position.

        Raises
        ------
        DamagedFrameError
            The frame cannot be read.
        InputGoneError
            Its file was there when the series was opened, and is not any more.
        ComponentError
            The reader failed.
        """
        k = bisect.bisect_right(self._starts, position) - 1
        try:
            return self._read(k, position)
        except DamagedFrameError as error:
            path = self._files[k].path
            reason = None if path in self._never_there else why_gone(path)
            if reason is None:
                raise
            raise InputGoneError(f"the input {path} has gone ({reason}); bring it back") from error

    def _read(self, k: int, position: int) -> NDArray[Any]:
        file, name = self._files[k], self.names[position]
        try:
            sequence = self._sequence(k)
            if position - self._starts[k] >= len(sequence):
                raise DamagedFrameError(
                    f"{name}: the file held {file.count} frames when it was opened, and now holds "
                    f"{len(sequence)}"
                )
            return _pixels(file, sequence.read(position - self._starts[k]))
        except DamagedFrameError:
            raise
        except InputError as error:
            raise DamagedFrameError(str(error)) from error
        except OSError as error:
            raise DamagedFrameError(f"{name}: cannot be read: {error.strerror or error}") from error
        except DefectscopeError:
            raise
        except (Exception, SystemExit) as error:
            raise ComponentError(_raised(file, error)) from error
        finally:
            if self._current is not None:
                self._notes.add(file.path.name, self._current[1].warnings)
            if file.count == 1:
                self._close_current()

    def _sequence(self, k: int) -> FrameSequence:
        if self._current is None or self._current[0] != k:
            self._close_current()
            file = self._files[k]
            sequence = self._open(file)
            self._current = (k, sequence)
            if len(sequence) > file.count:
                text = (
                    f"it holds {len(sequence)} images, of which {file.count} is read, as of the "
                    "other files of its series; give it by itself to read all"
                )
                self._notes.add(file.path.name, [text])
        return self._current[1]

    def _open(self, file: _File) -> FrameSequence:
        reader = self._readers[file.reader]
        try:
            if file.reader not in self._opened_readers:
                reader.open()
                self._opened_readers.add(file.reader)
            sequence = reader.read(file.path)
        except DefectscopeError as error:
            # A calibration that is not possible is no fault of an option.
            if isinstance(error.__cause__, ValidationError):
                raise ComponentError(_raised(file, error)) from error
            raise
        except OSError as error:
            raise InputError(
                f"{file.path.name}: cannot be read: {error.strerror or error}"
            ) from error
        except (Exception, SystemExit) as error:
            raise ComponentError(_raised(file, error)) from error
        _check_sequence(file, sequence)
        self._notes.compare(file.path.name, sequence.calibration)
        self._notes.add(file.path.name, sequence.warnings)
        return sequence

    def _close_current(self) -> None:
        if self._current is not None:
            self._current[1].close()
            self._current = None

    def close(self) -> None:
        """Close what is open; reading opens it again."""
        self._close_current()
        for key in self._opened_readers:
            self._readers[key].close()
        self._opened_readers = set()

    def __getstate__(self) -> dict[str, Any]:
        # A component survives pickling before it is opened, so that is what is pickled.
        readers = {
            key: type(reader)(reader.options, reader.runtime)
            for key, reader in self._readers.items()
        }
        return self.__dict__ | {"_current": None, "_opened_readers": set(), "_readers": readers}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # reading it will say what is wrong


def _check_sequence(file: _File, sequence: Any) -> None:
    calibration: Any = getattr(sequence, "calibration", None)
    warnings: Any = getattr(sequence, "warnings", None)
    if not isinstance(sequence, FrameSequence):
        found = f"found {type(sequence).__name__}"
    elif not isinstance(calibration, Calibration):
        found = f"whose calibration is a Calibration, found {type(calibration).__name__}"
    elif not isinstance(warnings, list):
        found = f"whose warnings are a list, found {type(warnings).__name__}"
    else:
        return
    raise ComponentError(
        f"reader {file.reader!r} must return a FrameSequence of {file.path.name}, {found}"
    )


def _pixels(file: _File, pixels: Any) -> NDArray[Any]:
    if not isinstance(pixels, np.ndarray) or isinstance(pixels, np.ma.MaskedArray):
        raise ComponentError(
            f"reader {file.reader!r} must return frames of {file.path.name} as arrays, found "
            f"{type(pixels).__name__}"
        )
    # Numbers of files are often big-endian; what is done with pixels wants those of the machine.
    native: NDArray[Any] = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if native.ndim != 2 or native.dtype not in DTYPES:
        raise ComponentError(
            f"reader {file.reader!r} must return frames of {file.path.name} as (H, W) arrays of "
            f"uint8, uint16 or float32, found {native.dtype} of {native.shape}"
        )
    return native


def _raised(file: _File, error: BaseException) -> str:
    hint = " (it tried to end the program)" if isinstance(error, SystemExit) else ""
    return (
        f"reader {file.reader!r} failed on {file.path.name}: {type(error).__name__}: "
        f"{' '.join(str(error).split())}{hint}"
    )
