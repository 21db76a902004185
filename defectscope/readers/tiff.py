"""Reader of TIFF files: single images, stacks of pages, and ImageJ's stacks without pages."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tifffile
from pydantic import Field

from defectscope import DamagedFrameError, FrameSequence, InputError, Options, Reader
from defectscope.core.tiff_pixels import full_pages, page_pixels
from defectscope.readers.pixels import TURNED, UPRIGHT, grey_pixels, warn_once
from defectscope.readers.tiff_axes import chosen_images, image_grid, runs_in_time
from defectscope.readers.tiff_metadata import calibration_of, declared_images, frame_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffFrame, TiffPage

__all__ = ["TiffFrames", "TiffOptions", "TiffReader"]

LOGGER = logging.getLogger("tifffile")
# Without any handler Python prints its complaints about damaged files to stderr.
LOGGER.addHandler(logging.NullHandler())
BROKEN_LIST = re.compile(r"invalid (page )?offset")


# What a damaged header may claim at most, before memory is asked for.
MOST_PIXELS = 2**30
MOST_IMAGES = 2_000_000


Chosen = int | Literal["all"] | None


class TiffOptions(Options):
    """What is read of hyperstacks."""

    channel: Chosen = Field(
        None, description="channel, counted from 1; all takes them as frames one after the other"
    )
    slice: Chosen = Field(
        None, description="slice, counted from 1; all takes them as frames one after the other"
    )


class TiffReader(Reader):
    """TIFF images and stacks, page by page."""

    Options = TiffOptions
    options: TiffOptions

    def read(self, path: Path) -> TiffFrames:
        """Return the pages of `path`.

        Raises
        ------
        InputError
            It is no TIFF file, none of its pages can be found, or it has several channels, or
            slices at several times, and the options choose none.
        """
        return TiffFrames(path, self.runtime.threads, self.options)


@dataclass(frozen=True)
class _Run:
    """Images that follow each other directly in the file, described by its first page only."""

    offset: int
    shape: tuple[int, ...]
    dtype: str
    count: int

    @property
    def image_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def is_within(self, file_bytes: int) -> bool:
        return self.offset + self.count * self.image_bytes <= file_bytes


class TiffFrames(FrameSequence):
    """The pages of one TIFF file in their order.

    One page is held at a time. Where ImageJ wrote a stack behind a single page, the images are
    read straight from their place; the file need not be whole for that. Of hyperstacks one channel
    and slice is read.
    """

    def __init__(self, path: Path, threads: int = 1, options: TiffOptions | None = None) -> None:
        self._file: TiffFile | None = None
        self._path, self._threads = path, threads
        self._is_imagej = False
        self._run: _Run | None = None
        self._pages: tuple[int, ...] = ()
        self._declared = 0
        self.warnings = []
        try:
            if path.stat().st_size == 0:
                raise InputError(f"{path.name} is empty (0 bytes)")
            self._examine()
        except InputError:
            self.close()
            raise
        except Exception as error:  # whatever a parser of damaged files may come across
            self.close()
            raise InputError(f"{path.name} cannot be read as TIFF: {_reason(error)}") from error
        count = len(self._pages) if self._run is None else self._run.count
        self._images = self._series(max(count, self._declared), options or TiffOptions())
        count = len(self._images)
        self.indices = tuple(range(count))
        self.names = (path.name,) if count == 1 else tuple(f"{path.name}#{k}" for k in range(count))

    def _series(self, count: int, options: TiffOptions) -> Sequence[int]:
        """Return which of the images of the file are frames of the series, in their order."""
        file = self._opened()
        grid = image_grid(file, count)
        if grid is None:
            return range(count)
        grid = chosen_images(grid, options, self._path.name)
        interval = frame_interval(file, self.warnings)
        if interval is not None and grid.size > 1:
            if runs_in_time(grid):
                self.calibration = self.calibration.updated(frame_interval_s=interval)
            else:
                warn_once(
                    self.warnings,
                    f"the metadata give {interval:g} s between frames, but call the images slices "
                    "or channels; the frame interval is left unknown",
                )
        return range(count) if grid.size == count else tuple(map(int, grid.ravel()))

    def _examine(self) -> None:
        with _complaints() as complaints:
            file = self._opened()
            number = len(file.pages)
            if number == 0:
                raise InputError(f"{file.filename} is a TIFF file without any page")
            self._pages = full_pages(file)
            declared = min(declared_images(file), MOST_IMAGES)
            self._run = _run_behind_first_page(file, declared, number)
            self.calibration = calibration_of(file, self._pages, self.warnings)
        broken = any(BROKEN_LIST.search(text) for text in complaints)
        # Metadata are copied from stack to single image too often to be believed by themselves.
        self._declared = declared if broken else 0
        if broken:
            warn_once(
                self.warnings,
                f"the file is cut off: its list of pages ends after {number}"
                + (f" of {declared}" if declared > number else "; what followed is lost"),
            )
        elif self._run is not None and not self._run.is_within(self._path.stat().st_size):
            warn_once(self.warnings, f"the file is cut off inside its {declared} images")
        elif declared > number and self._run is None:
            warn_once(
                self.warnings,
                f"the metadata speak of {declared} images, the file holds {number}",
            )

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels of one page, or raise DamagedFrameError."""
        name, position = self.names[position], self._images[position]
        try:
            if self._run is not None:
                return self._read_from_run(self._run, position, name)
            if position >= len(self._pages):
                raise DamagedFrameError(f"{name}: the file is cut off before this page")
            page = self._opened().pages[self._pages[position]]
            return self._read_page(page, name)
        except DamagedFrameError:
            raise
        except Exception as error:  # whatever a decoder of damaged data may come across
            raise DamagedFrameError(f"{name}: the page cannot be read: {_reason(error)}") from error

    def _read_from_run(self, run: _Run, position: int, name: str) -> NDArray[Any]:
        values = math.prod(run.shape)
        start = run.offset + position * run.image_bytes
        # Not a memory map: where the file shrinks or a network drive fails, that ends the process.
        with self._path.open("rb") as stream:
            stored = np.fromfile(stream, run.dtype, values, offset=start)
        if stored.size < values:
            raise DamagedFrameError(f"{name}: the file is cut off inside or before this image")
        page = self._opened().pages.first
        return self._grey(page, stored.reshape(run.shape), name)

    def _read_page(self, page: TiffPage | TiffFrame, name: str) -> NDArray[Any]:
        if page.size > MOST_PIXELS:
            raise DamagedFrameError(
                f"{name}: the page claims to have {page.size} pixels; its header is damaged"
            )
        size = self._path.stat().st_size
        offsets, counts = page.dataoffsets, page.databytecounts
        if page.is_final:
            # Some writers count too many bytes for the last strip of a whole image.
            offsets, counts = (offsets[0],), (page.nbytes,)
        if any(start + count > size for start, count in zip(offsets, counts, strict=False)):
            raise DamagedFrameError(f"{name}: the file is cut off inside this page")
        # The decoder fills such holes with zeros.
        if not offsets or 0 in counts:
            raise DamagedFrameError(f"{name}: parts of this page were never written")
        return self._grey(page, page.asarray(maxworkers=self._threads), name)

    def _grey(self, page: TiffPage | TiffFrame, stored: NDArray[Any], name: str) -> NDArray[Any]:
        if _orientation(page.keyframe) != UPRIGHT:
            warn_once(self.warnings, TURNED)
        palette = not self._is_imagej
        pixels = page_pixels(page.keyframe, stored, name, self.warnings, with_palette=palette)
        return grey_pixels(pixels, name, self.warnings)

    def _opened(self) -> TiffFile:
        if self._file is None:
            # Each file for itself: OME metadata may name others, which are inputs of their own.
            self._file = tifffile.TiffFile(self._path, _multifile=False)
            self._is_imagej = bool(self._file.is_imagej)
        return self._file

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}


def _orientation(page: TiffPage | None) -> int:
    """Return how a page asks to be shown, 1 (as it is stored) to 8."""
    tag = None if page is None else page.tags.get("Orientation")
    return tag.value if tag is not None and tag.value in range(2, 9) else UPRIGHT


def _run_behind_first_page(file: TiffFile, declared: int, number: int) -> _Run | None:
    page = file.pages.first
    if declared <= number or not page.is_final or page.dtype is None:
        return None
    if not 0 < page.size <= MOST_PIXELS:
        return None
    offset, image_bytes = page.dataoffsets[0], page.nbytes
    # One image and less than another behind it: metadata copied from a stack.
    if (file.filehandle.size - offset) // image_bytes <= number:
        return None
    if number > 1 and file.pages[1].dataoffsets[0] != offset + image_bytes:
        return None
    dtype = page.dtype.newbyteorder(file.byteorder).str
    return _Run(offset, tuple(page.shape), dtype, declared)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs, which is where it says that a file is damaged."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener = Listener()
    LOGGER.addHandler(listener)
    try:
        yield said
    finally:
        LOGGER.removeHandler(listener)
