"""Rows of ImageJ's results tables."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from defectscope.core.errors import FormatError, InputError
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.readers.formats.collecting import Annotation
from defectscope.readers.formats.holdings import Ellipse, Notes
from defectscope.readers.formats.image_files import IMAGE_SUFFIXES, relative_name

__all__ = [
    "AXES",
    "RECTANGLE",
    "Row",
    "annotation_of",
    "is_results_table",
    "read_rows",
]

RECTANGLE = ("BX", "BY", "Width", "Height")
AXES = ("Major", "Minor", "Angle")
CENTRES = (("X", "Y"), ("XM", "YM"))
TYPE_COLUMNS = ("defect_type", "Class")
# What Summarize appends below the measurements.
SUMMARY = ("Mean", "SD", "Min", "Max")
_SLICE = re.compile(r"[1-9]\d{0,8}")
# The label of a slice of a hyperstack: place and number of channels, slices and times.
_HYPERSTACK = re.compile(r"(?:^|:)\s*((?:[czt]:\d+/\d+\s*)+)(?:-.*)?$")
_PLACE = re.compile(r"[czt]:(\d+)/(\d+)")


@dataclass(frozen=True)
class Row:
    """One measurement.

    Parameters
    ----------
    where
        File and line, for messages.
    title
        Name of the image.
    slice
        Slice of a stack, from 1; 0 where no number tells it.
    region
        Name of the region of interest, or an empty text. It is the label of the slice where the
        window showed a stack and the region had no name.
    label
        What is the label of a slice for certain, or an empty text.
    cells
        Text by column.
    """

    where: str
    title: str
    slice: int
    region: str
    label: str
    cells: dict[str, str]

    @property
    def page(self) -> int:
        """Page of a stack, from 0."""
        return max(self.slice - 1, 0)

    def number(self, column: str) -> float | None:
        """Return a number, or None where the cell is absent, empty or NaN (does not apply)."""
        text = self.cells.get(column, "").strip()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.inf
        if math.isinf(value):
            raise FormatError(f"{self.where}: {column!r}: expected a finite number, found {text!r}")
        return None if math.isnan(value) else value

    def numbers(self, columns: Iterable[str]) -> list[float] | None:
        """Return several numbers, or None where any does not apply."""
        found = [self.number(column) for column in columns]
        whole = [value for value in found if value is not None]
        return whole if len(whole) == len(found) else None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # ImageJ writes in the system's own encoding; only units and names are concerned.
        return content.decode("latin-1")


def _header(text: str) -> tuple[str, list[str]]:
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    delimiter = "\t" if "\t" in line else ","
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        # No column name is that long: this is some other file.
        names = []
    return delimiter, [name.strip() for name in names]


def is_results_table(path: Path) -> bool:
    """Whether the first line of a file has the columns of a box or of an ellipse."""
    with path.open("rb") as file:
        start = file.read(8192)
    if b"\0" in start:
        return False
    columns = set(_header(_decoded(start))[1])
    return columns >= set(RECTANGLE) or columns >= set(AXES)


def read_rows(path: Path, notes: Notes) -> Iterator[Row]:
    """Yield the rows of a table, without those that Summarize appends.

    Raises
    ------
    FormatError
        The table is malformed, or has neither the columns of boxes nor of ellipses.
    """
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    delimiter, columns = _header(text)
    if not (set(columns) >= set(RECTANGLE) or set(columns) >= set(AXES)):
        raise FormatError(
            f"{path}: expected the columns {', '.join(RECTANGLE)} or X, Y, {', '.join(AXES)}; "
            "tick Bounding rectangle, or Centroid and Fit ellipse, under Set Measurements in ImageJ"
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise FormatError(f"{where}: expected {len(columns)} cells, found {len(cells)}")
            row = _row(dict(zip(columns, cells, strict=True)), path, where)
            if row.title in SUMMARY:
                notes.count("summary rows, left out")
            else:
                yield row
    except csv.Error as error:
        raise FormatError(f"{path}, line {reader.line_num}: {error}") from error


def _row(cells: dict[str, str], path: Path, where: str) -> Row:
    """Understand ``Label``: title[:region][:slice label or number]."""
    text = cells.get("Label", "")
    number = _slice_number(cells, where)
    place = _HYPERSTACK.search(text)
    if place is not None:
        text, number = text[: place.start()], _place_in_hyperstack(place[1], where)
    title, *rest = [part.strip() for part in text.split(":")]
    label = ""
    if rest and rest[-1].lower().endswith(IMAGE_SUFFIXES):
        # Slices of an image sequence carry the names of their files.
        title, number = rest.pop(), 0
    elif rest and _SLICE.fullmatch(rest[-1]) and not (number and len(rest) == 1):
        number = number or int(rest[-1])
        rest.pop()
    elif len(rest) > 1:
        label = rest.pop()
    title = title or _namesake(path)
    if title not in SUMMARY:
        title = relative_name(title, where=where)
    return Row(where, title, number, rest[0] if rest else "", label, cells)


def _slice_number(cells: dict[str, str], where: str) -> int:
    row = Row(where, "", 0, "", "", cells)
    given = [int(row.number(column) or 0) for column in ("Slice", "Frame")]
    if min(given) > 1:
        raise FormatError(
            f"{where}: slice {given[0]} of time {given[1]} is no frame of a series; measure in "
            "a stack of one slice or of one time"
        )
    return max(*given, 0)


def _place_in_hyperstack(text: str, where: str) -> int:
    """Return the slice that ``c:1/1 z:1/1 t:3/10`` is."""
    places = [(int(place), int(count)) for place, count in _PLACE.findall(text)]
    longer = [place for place, count in places if count > 1]
    if len(longer) > 1:
        raise FormatError(
            f"{where}: the label {text.strip()!r} is of a hyperstack of several axes, which is no "
            "series; measure in a stack of one channel and one slice, or of one time"
        )
    return longer[0] if longer else 1


def _namesake(path: Path) -> str:
    for suffix in IMAGE_SUFFIXES:
        if path.with_suffix(suffix).is_file():
            return path.stem + suffix
    return path.stem


def annotation_of(
    row: Row, pixel_size: float, defect_type: str, known: Collection[str]
) -> Annotation:
    """Return a row in pixels.

    The defect type is that of a column, else the region's name where that is a `known` type,
    else `defect_type`.

    Raises
    ------
    FormatError
        The row has neither a box nor an ellipse.
    """
    rectangle, axes = row.numbers(RECTANGLE), row.numbers(AXES)
    centre = next((c for c in map(row.numbers, CENTRES) if c is not None), None)
    ellipse: Ellipse | None = None
    if axes is not None and centre is not None and axes[0] > 0 and axes[1] > 0:
        x, y, major, minor = (value / pixel_size for value in (*centre, *axes[:2]))
        ellipse = (x, y, major, minor, axes[2])
    if rectangle is not None:
        x0, y0, width, height = (value / pixel_size for value in rectangle)
        box: tuple[float, ...] = (x0, y0, x0 + width, y0 + height)
    elif ellipse is not None:
        box = tuple(ellipse_boxes(*ellipse)[0])
    else:
        raise FormatError(
            f"{row.where}: neither the box ({', '.join(RECTANGLE)}) nor the ellipse "
            f"(X, Y, {', '.join(AXES)}) is complete"
        )
    named = next((row.cells[c].strip() for c in TYPE_COLUMNS if row.cells.get(c, "").strip()), None)
    score, track_id = row.number("score"), row.number("track_id")
    return Annotation(
        row.where,
        box,
        named or (row.region if row.region in known else defect_type),
        score=1.0 if score is None else score,
        ignore=bool(row.number("ignore")),
        ellipse=ellipse,
        track_id=None if track_id is None else int(track_id),
    )
