"""The lines of YOLO's label files: a class, a box or polygon, and what detectors write behind it.

Behind a box or polygon stand, where a detector or tracker wrote the file, a score, the number of a
track, or both. A score is a number from 0 to 1; tracks count from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defectscope.core.errors import FormatError
from defectscope.readers.formats.collecting import Annotation
from defectscope.readers.formats.json_values import read_text
from defectscope.readers.formats.outlines import polygon_box, united

__all__ = ["Line", "TrackNumbers", "annotation_of", "read_lines"]

BOX = 4


@dataclass(frozen=True)
class Line:
    """One line: its place for messages, its class, and the numbers behind that."""

    where: str
    index: int
    values: NDArray[np.float64]

    @property
    def ends_in_track(self) -> bool:
        """Whether the last number may be that of a track."""
        return bool(self.values[-1] >= 1 and self.values[-1].is_integer())


@dataclass(frozen=True)
class TrackNumbers:
    """Whether lines end in the number of a track.

    Parameters
    ----------
    alone
        Those with an odd number of values, behind the coordinates.
    after_score
        Those with an even number of values, behind the score.
    """

    alone: bool
    after_score: bool

    @classmethod
    def found_in(cls, lines: Sequence[Line]) -> TrackNumbers:
        """Look at all lines of a dataset: one may as well end in a score of 1, or at the rim."""
        longer = [line for line in lines if len(line.values) > BOX]
        odd = [line for line in longer if len(line.values) % 2]
        even = [line for line in longer if not len(line.values) % 2]
        # One track alone in boxes that have scores: else triangles, and all end at the rim.
        single = bool(even) and {len(line.values) for line in even} == {BOX + 2}
        return cls(_are_tracks(odd), _are_tracks(even, least=1 if single else 2))

    def __bool__(self) -> bool:
        return self.alone or self.after_score


def _are_tracks(lines: Sequence[Line], least: int = 2) -> bool:
    ends = [line.values[-1] for line in lines if line.ends_in_track]
    return len(ends) == len(lines) and bool(max(ends, default=0) >= least)


def read_lines(file: Path) -> list[Line]:
    """Return the lines of a label file that are not empty.

    Raises
    ------
    FormatError
        One is no class with finite numbers behind it.
    """
    return [
        _line(text.split(), f"{file}, line {number}")
        for number, text in enumerate(read_text(file).splitlines(), 1)
        if text.strip()
    ]


def _line(words: Sequence[str], where: str) -> Line:
    try:
        values = np.array([float(word) for word in words[1:]])
        index = int(words[0])
    except ValueError as error:
        raise FormatError(f"{where}: expected a class number and fractions: {error}") from error
    if not np.isfinite(values).all():
        raise FormatError(f"{where}: expected finite numbers, found {' '.join(words)}")
    if len(values) < BOX:
        raise FormatError(
            f"{where}: expected a class and at least {BOX} fractions, found {len(values)}"
        )
    return Line(where, index, values)


def annotation_of(
    line: Line, tracks: TrackNumbers, names: Sequence[str], shape: tuple[int, int]
) -> Annotation:
    """Return what a line says of an image of `shape` (height, width).

    Raises
    ------
    FormatError
        Its class has no name, or what stands at the place of the score is none.
    """
    where, values, track_id, score = line.where, line.values, None, 1.0
    if not 0 <= line.index < len(names):
        raise FormatError(
            f"{where}: there is no class {line.index}; {len(names)} "
            f"{'is' if len(names) == 1 else 'are'} named, counted from 0"
        )
    odd = len(values) % 2 == 1
    if len(values) > BOX and (tracks.alone if odd else tracks.after_score):
        values, track_id = values[:-1], int(values[-1])
    # Coordinates come in pairs: one number more is a detector's score.
    if len(values) % 2:
        values, score = values[:-1], float(values[-1])
    if not 0 <= score <= 1:
        raise FormatError(f"{where}: expected a score from 0 to 1 at the end, found {score:g}")
    points = values.reshape(-1, 2) * shape[::-1]
    if len(points) > BOX / 2:
        box: tuple[float, ...] = tuple(polygon_box([points]))
        mask = united([points], shape, where)
    else:
        (x, y), (width, height) = points
        box, mask = (x - width / 2, y - height / 2, x + width / 2, y + height / 2), None
    return Annotation(where, box, names[line.index], score, mask=mask, track_id=track_id)
