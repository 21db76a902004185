"""Frames, their indices, and lazy sequences of them."""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from defectscope.core.calibration import Calibration
from defectscope.core.errors import DamagedFrameError, OptionError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Frame",
    "FrameSelection",
    "FrameSequence",
    "frame_indices",
    "frame_range_text",
    "parse_frame_range",
    "stem_and_number",
    "what_was_selected",
]

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
SMALLEST_SIDE_PX = 8


@dataclass(frozen=True, eq=False)
class Frame:
    """One 2-D grey image at full bit depth.

    Parameters
    ----------
    pixels
        (H, W) array of uint8, uint16 or float32, as read. It is not copied: leave it as it is.
    index
        Frame index: the number in the file name, or the position in the series.
    calibration
        What is known about the scale, or a mapping of fields of :class:`Calibration`.
    source
        File name (with ``#position`` for stacks and videos), for messages and tables.

    Raises
    ------
    UsageError
        The index is no whole number, or the pixels are no array.
    DamagedFrameError
        The pixels cannot be measured: wrong dimensions or dtype, too small, not finite,
        or without any contrast.
    """

    pixels: NDArray[Any]
    index: int = 0
    calibration: Calibration = field(default_factory=Calibration)
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", str(self.source))
        pixels, name = self.pixels, self.source or f"frame {self.index}"
        object.__setattr__(self, "index", _whole(self.index, name))
        object.__setattr__(self, "calibration", Calibration.of(self.calibration))
        _check_array(pixels, name)
        if pixels.ndim != 2:
            raise DamagedFrameError(
                f"{name}: expected a 2-D grey image, found an array of shape {pixels.shape}"
            )
        if pixels.dtype not in DTYPES:
            raise DamagedFrameError(
                f"{name}: expected uint8, uint16 or float32 pixels, found {pixels.dtype}"
            )
        height, width = pixels.shape
        if min(height, width) < SMALLEST_SIDE_PX:
            raise DamagedFrameError(
                f"{name}: the image is {width} x {height} px; "
                f"at least {SMALLEST_SIDE_PX} x {SMALLEST_SIDE_PX} px are needed"
            )
        # One pass finds both: the extremes are NaN where any pixel is.
        low, high = pixels.min(), pixels.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            count = int(np.count_nonzero(~np.isfinite(pixels)))
            raise DamagedFrameError(
                f"{name}: {count} of {pixels.size} pixels are not finite (NaN or infinite); "
                "replace them before the analysis, or leave their part out of a run with --roi"
            )
        if low == high:
            raise DamagedFrameError(
                f"{name}: every pixel has the value {low}; there is nothing to measure"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in px."""
        height, width = self.pixels.shape
        return height, width

    def scaled(self) -> NDArray[np.float32]:
        """Return the pixels as float32: integers divided by their type's maximum, floats as is."""
        if self.pixels.dtype == np.float32:
            return np.asarray(self.pixels, np.float32)
        return self.pixels.astype(np.float32) / np.float32(np.iinfo(self.pixels.dtype).max)


def _whole(index: Any, name: str) -> int:
    try:
        return operator.index(index)
    except TypeError as error:
        raise UsageError(f"{name}: the index must be a whole number, found {index!r}") from error


def _check_array(pixels: Any, name: str) -> None:
    """Refuse what numpy would take for pixels, and what is not all that was given."""
    if not isinstance(pixels, np.ndarray):
        raise UsageError(
            f"{name}: the pixels must be a numpy array, found {type(pixels).__name__}; make one "
            "with numpy.asarray"
        )
    if isinstance(pixels, np.ma.MaskedArray):
        raise UsageError(
            f"{name}: the pixels are a masked array, whose mask would be lost; give its data, and "
            "the mask to Pipeline.run(..., masks=[...])"
        )


class FrameSequence(ABC, Sequence[Frame]):
    """A lazy sequence of frames: nothing is held but what is asked for.

    Subclasses hold no open handle while they are pickled, so that worker processes can
    each open the series for themselves.

    Attributes
    ----------
    indices : tuple of int
        Frame index of every position.
    names : tuple of str
        Source name of every position.
    calibration : Calibration
        What the files say about the scale.
    warnings : list of str
        What a user should know about how the files were read; may grow while frames are read.
    paths : tuple of pathlib.Path
        The files behind the frames, for digests; empty where there are none.
    reader_options : mapping
        Options that readers were given, by their names.
    read_by : mapping
        Versions of the distributions whose readers read the files, by ``distribution/NAME``.
    """

    indices: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    calibration: Calibration = Calibration()
    paths: tuple[Path, ...] = ()
    reader_options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    read_by: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        text = f"{type(self).__name__}: {len(self)} frames"
        if self.indices:
            text += f", indices {min(self.indices)} to {max(self.indices)}"
        if self.calibration.pixel_size_nm is not None:
            text += f", {self.calibration.pixel_size_nm:g} nm/px"
        return f"<{text}>"

    @cached_property
    def warnings(self) -> list[str]:
        """What a user should know about how the files were read; may grow meanwhile."""
        return []

    @abstractmethod
    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels at a position, or raise DamagedFrameError."""

    def close(self) -> None:
        """Let go of files; reading again opens them again."""

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, item: int) -> Frame: ...
    @overload
    def __getitem__(self, item: slice) -> FrameSelection: ...
    def __getitem__(self, item: int | slice) -> Frame | FrameSelection:
        if isinstance(item, slice):
            return FrameSelection(self, range(len(self))[item])
        position = range(len(self))[item]
        return Frame(
            self.read(position), self.indices[position], self.calibration, self.names[position]
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[position] for position in range(len(self)))

    def __enter__(self) -> FrameSequence:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def select(self, first: int | None, stop: int | None, step: int | None) -> FrameSelection:
        """Return the frames whose *index* lies in ``first:stop:step``, `stop` exclusive."""
        low = first if first is not None else min(self.indices, default=0)
        high = stop if stop is not None else max(self.indices, default=-1) + 1
        wanted = range(low, high, step or 1)
        return FrameSelection(self, [p for p, i in enumerate(self.indices) if i in wanted])

    def calibrated(self, calibration: Calibration) -> FrameSelection:
        """Return the same frames under another calibration."""
        return FrameSelection(self, range(len(self)), calibration)


class FrameSelection(FrameSequence):
    """Some frames of another sequence, in its order."""

    def __init__(
        self,
        parent: FrameSequence,
        positions: Sequence[int],
        calibration: Calibration | None = None,
    ) -> None:
        self._parent = parent
        self._positions = tuple(positions)
        self.indices = tuple(parent.indices[p] for p in self._positions)
        self.names = tuple(parent.names[p] for p in self._positions)
        self.calibration = parent.calibration if calibration is None else calibration
        self.warnings = parent.warnings
        self.paths = parent.paths
        self.reader_options = dict(parent.reader_options)
        self.read_by = dict(parent.read_by)

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels at a position of the selection."""
        return self._parent.read(self._positions[position])

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return super().__getitem__(item)
        position = range(len(self))[item]
        frame = self._parent[self._positions[position]]
        return replace(frame, calibration=self.calibration)

    @property
    def whole(self) -> FrameSequence:
        """The sequence from which the frames were taken."""
        return self._parent

    def close(self) -> None:
        """Close the parent."""
        self._parent.close()


def what_was_selected(frames: FrameSequence) -> str:
    """Return how frames are selected, and from which indices, as a clause."""
    text = "frames are selected by their index, and the last index is exclusive"
    while not frames.indices and isinstance(frames, FrameSelection):
        frames = frames.whole
    if not frames.indices:
        return text
    return f"{text}; there are indices {min(frames.indices)} to {max(frames.indices)}"


# The number is followed at most by the first part of a suffix in two parts: img005.ome.tif.
_STEM_AND_NUMBER = re.compile(r"(.*?)(\d+)((?:\.[A-Za-z]+)?)")
# Text follows the only number: img (5).png, as Windows names files, and frame_0005_BF.png. Letters
# that follow directly are a unit (300kV, 5min), as some words are behind a blank (5 min, 5_min),
# and a date counts nothing either.
_DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
# Units are told from other words by their capitals: frame_0005_HR is of high resolution.
_UNIT = (
    r"(?:[ _-](?:ms|[Ss]ec(?:onds?)?|[Mm]in(?:utes?)?|[Hh](?:ou)?rs?|[Dd]ays?|[kKM]e?[Vv]|°[CK]"
    r"|[Dd]eg[Cc]?|[nuµμm]m|dpa|DPA|[kK][xX]|k?Hz|fps|mrad|[np]A)| [shCK%])(?![^\W_])"
)
_NUMBER_INSIDE = re.compile(rf"(\D*)(?!{_DATE})(\d+)(?!{_UNIT})([\W_]\D*)")
FRAME_RANGE = (
    "frames must be given as FIRST:STOP or FIRST:STOP:STEP with STEP at least 1 (461:661 selects "
    "frame indices 461 to 660)"
)
LARGEST_INDEX = 2**63 - 1  # tables hold frame indices as int64


def stem_and_number(stem: str) -> tuple[str, int] | None:
    """Return what is named beside the number of a file name, and the number.

    That is the number at the end, or the only one where neither a letter follows it directly nor a
    unit after a blank, ``_`` or ``-``; where text follows it, ``…`` is in its place.
    `stem` is the name without its last suffix; None where it has no such number, or too large a
    one.
    """
    match = _STEM_AND_NUMBER.fullmatch(stem)
    between = ""
    if match is None:
        match, between = _NUMBER_INSIDE.fullmatch(stem), "…"
    if match is None or int(match[2]) > LARGEST_INDEX:
        return None
    return f"{match[1]}{between}{match[3]}", int(match[2])


def frame_indices(stems: Sequence[str]) -> tuple[int, ...]:
    """Return the frame index of each file of a series.

    The number in the name, where every name is the same text and one number, at the end or the
    only one, and no number comes twice (``Frame461`` and ``img (461)`` are 461); else the position
    from 0. Of a single file only a number at the end counts: nothing else says that it counts.
    """
    found = [known for known in map(stem_and_number, stems) if known is not None]
    numbers = tuple(number for _, number in found)
    one_stem = len({stem for stem, _ in found}) == 1
    if len(stems) == 1 and one_stem and "…" in found[0][0]:
        return (0,)
    if one_stem and len(numbers) == len(stems) == len(set(numbers)):
        return numbers
    return tuple(range(len(stems)))


def frame_range_text(given: str | slice | range) -> str:
    """Return a selection of frames as ``A:B:S``; OptionError where it is none of text and ranges.

    A pair of numbers is none: it may be meant as a range, or as two frames.
    """
    if isinstance(given, slice | range):
        parts = (given.start, given.stop, given.step)
        return ":".join("" if part is None else str(part) for part in parts)
    if not isinstance(given, str):
        raise OptionError(f"{FRAME_RANGE}, or as a slice or range; found {given!r}")
    return given


def parse_frame_range(text: str | slice | range) -> tuple[int | None, int | None, int | None]:
    """Return (first, stop, step) of ``A:B:S``, a slice or a range; every part may be left out.

    Raises
    ------
    OptionError
        The text is no range, its step is not positive, or it counts from the end.
    """
    text = frame_range_text(text)
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 3 or (
        len(numbers) == 3 and numbers[2] is not None and numbers[2] < 1
    ):
        raise OptionError(f"{FRAME_RANGE}, found {text!r}")
    first, stop, step = [*numbers, None][:3]
    if min(first or 0, stop or 0) < 0:
        raise OptionError(
            "frames are selected by their index, which is never below 0, so that FIRST and STOP "
            f"cannot count from the end; found {text!r}, give the indices themselves"
        )
    return first, stop, step
