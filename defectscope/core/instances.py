"""Instances: what was found, or is known, in one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.masks import Mask, all_masks
from defectscope.core.positions import position_axis

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Instances"]


@dataclass(frozen=True, eq=False, init=False)
class Instances:
    """A structure of arrays, one entry an instance.

    All but the bitmaps of masks is copied: who changes a given array later changes nothing here.

    Parameters
    ----------
    image_shape
        (height, width) of the frame in px.
    boxes
        (n, 4) float32 ``x_min, y_min, x_max, y_max`` in px, half open.
    scores
        (n,) float32; 1 where nothing is given.
    defect_types
        (n,) names.
    ignore
        (n,) bool: truth that counts as neither hit nor miss.
    masks
        n cropped masks, or None.
    lines
        n polylines (k, 2) of x, y in px, or None.
    measurements
        Columns of length n; NaN where a value does not apply.
    units
        Unit of every measurement: ``px``, ``px2``, ``1/px``, ``deg``, or ``""``.

    Raises
    ------
    ValueError
        Lengths, shapes or values do not fit together; says which, expected against actual.
    """

    image_shape: tuple[int, int]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    defect_types: NDArray[np.str_]
    ignore: NDArray[np.bool_]
    masks: tuple[Mask, ...] | None
    lines: tuple[NDArray[np.float64], ...] | None
    measurements: Mapping[str, NDArray[Any]]
    units: Mapping[str, str]

    def __init__(
        self,
        image_shape: tuple[int, int],
        boxes: ArrayLike,
        scores: ArrayLike | None = None,
        defect_types: ArrayLike | None = None,
        ignore: ArrayLike | None = None,
        masks: Sequence[Mask] | None = None,
        lines: Sequence[ArrayLike] | None = None,
        measurements: Mapping[str, ArrayLike] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        checked = _boxes(boxes)
        n = len(checked)
        columns = _measurements(measurements or {}, n)
        given = units or {}
        fields = {
            "image_shape": _image_shape(image_shape),
            "boxes": checked,
            "scores": _column("scores", scores, n, np.float32, 1.0),
            "defect_types": _names(defect_types, n),
            "ignore": _column("ignore", ignore, n, np.bool_, False),
            "masks": None if masks is None else tuple(all_masks(masks)),
            "lines": None if lines is None else tuple(_polyline(line) for line in lines),
            "measurements": columns,
            "units": {name: given.get(name, "") for name in columns},
        }
        _same_length("masks", masks, n)
        _same_length("lines", lines, n)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, image_shape: tuple[int, int]) -> Instances:
        """Return instances of a frame in which nothing was found."""
        return cls(image_shape, np.zeros((0, 4), np.float32))

    def __repr__(self) -> str:
        height, width = self.image_shape
        # A cell of a notebook shows it: one line, however many there are.
        parts = [f"{len(self)} in {width} x {height} px", *filter(None, [self._types()])]
        with_them = [name for name in ("masks", "lines") if getattr(self, name) is not None]
        if known := [*with_them, *self.measurements]:
            parts.append(f"with {', '.join(known)}")
        return f"<Instances: {'; '.join(parts)}>"

    def _types(self) -> str:
        names, counts = np.unique(self.defect_types, return_counts=True)
        return ", ".join(f"{n} {name}" for name, n in zip(names, counts, strict=True))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, item: ArrayLike | slice) -> Instances:
        """Return those selected by a bool mask, a slice or an array of positions."""
        if isinstance(item, int | np.integer):
            item = [int(item)]
        if not isinstance(item, slice):
            item = np.asarray(item)
            # numpy takes an empty list for one of floats, which cannot select.
            item = item.astype(np.intp) if item.size == 0 else item
        positions = np.arange(len(self))[item]
        return replace(
            self,
            boxes=self.boxes[positions],
            scores=self.scores[positions],
            defect_types=self.defect_types[positions],
            ignore=self.ignore[positions],
            masks=_take(self.masks, positions),
            lines=_take(self.lines, positions),
            measurements={name: v[positions] for name, v in self.measurements.items()},
        )

    def with_measurements(
        self, columns: Mapping[str, ArrayLike], units: Mapping[str, str]
    ) -> Instances:
        """Return a copy with columns added or replaced."""
        added = {name: np.asarray(values) for name, values in columns.items()}
        return replace(
            self,
            measurements={**self.measurements, **added},
            units={**self.units, **{name: units.get(name, "") for name in added}},
        )

    def moved(self, dx: float, dy: float, image_shape: tuple[int, int]) -> Instances:
        """Return the same instances in a frame whose origin lies elsewhere.

        Positions (boxes, masks, lines, and the measurements ``x``, ``y`` and those that end in
        ``_x_px`` and ``_y_px``) gain (dx, dy) px.
        """
        shift = np.array([dx, dy, dx, dy], np.float32)
        columns = dict(self.measurements)
        for name in columns:
            axis = position_axis(name)
            if axis is not None:
                columns[name] = columns[name] + (dx, dy)[axis]
        masks = self.masks
        if masks is not None:
            masks = tuple(mask.moved(round(dx), round(dy)) for mask in masks)
        lines = self.lines
        if lines is not None:
            lines = tuple(line + np.array([dx, dy]) for line in lines)
        return replace(
            self,
            image_shape=image_shape,
            boxes=self.boxes + shift,
            masks=masks,
            lines=lines,
            measurements=columns,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Instances]) -> Instances:
        """Join instances of one frame.

        Measurements absent from a part become NaN; where only some parts have masks or lines,
        the instances of the others get empty ones.

        Raises
        ------
        ValueError
            There is nothing to join, or the parts belong to frames of different shapes.
        """
        if not parts:
            raise ValueError("concatenate needs at least one Instances (an empty one will do)")
        shapes = {part.image_shape for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"instances of frames of different shapes: {sorted(shapes)}")
        names = list(dict.fromkeys(name for part in parts for name in part.measurements))
        filled = [part for part in parts if len(part)]
        return cls(
            parts[0].image_shape,
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.defect_types for part in parts]),
            np.concatenate([part.ignore for part in parts]),
            _joined([part.masks for part in filled], filled, Mask(0, 0, np.zeros((0, 0), bool))),
            _joined([part.lines for part in filled], filled, np.zeros((0, 2))),
            {name: _joined_column(filled or parts, name) for name in names},
            {name: unit for part in parts for name, unit in part.units.items()},
        )


def _image_shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 0:
        raise ValueError(f"image_shape: expected (height, width), found {shape!r}")
    return int(shape[0]), int(shape[1])


def _boxes(values: ArrayLike) -> NDArray[np.float32]:
    boxes = np.array(values, np.float32)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes: expected shape (n, 4), found {boxes.shape}")
    if not np.isfinite(boxes).all():
        raise ValueError("boxes: every coordinate must be finite")
    wrong = np.flatnonzero((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))
    if len(wrong):
        raise ValueError(
            f"boxes: x_max must exceed x_min and y_max must exceed y_min, "
            f"found {boxes[wrong[0]].tolist()} at position {wrong[0]}"
        )
    return boxes


def _measurements(given: Mapping[str, ArrayLike], n: int) -> dict[str, NDArray[Any]]:
    columns = {name: np.array(values) for name, values in given.items()}
    for name, values in columns.items():
        if values.shape != (n,):
            raise ValueError(f"measurement {name!r}: expected shape ({n},), found {values.shape}")
    return columns


def _column(name: str, values: Any, n: int, dtype: type, default: Any) -> NDArray[Any]:
    column: NDArray[Any] = np.full(n, default, dtype) if values is None else np.array(values, dtype)
    column = column.reshape(0) if column.size == 0 else column
    if column.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), found {column.shape}")
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise ValueError(f"{name}: every value must be finite")
    return column


def _names(values: Any, n: int) -> NDArray[np.str_]:
    if values is None:
        if n:
            raise ValueError(f"defect_types: expected {n} names, found none")
        return np.zeros(0, "<U1")
    names = np.full(n, values) if isinstance(values, str) else np.asarray(values)
    if names.shape != (n,) and (names.size or n):
        raise ValueError(f"defect_types: expected {n} names, found shape {names.shape}")
    if names.size == 0:
        return np.zeros(0, "<U1")
    if names.dtype.kind not in "UO" or not all(isinstance(name, str) and name for name in names):
        raise ValueError("defect_types: every entry must be a non-empty name")
    return names.astype(np.str_)


def _polyline(line: ArrayLike) -> NDArray[np.float64]:
    points = np.array(line, float)
    points = points.reshape(0, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"lines: expected points of shape (k, 2), found {points.shape}")
    return points


def _same_length(name: str, values: Sequence[Any] | None, n: int) -> None:
    if values is not None and len(values) != n:
        raise ValueError(f"{name}: expected {n}, found {len(values)}")


def _take(values: tuple[Any, ...] | None, positions: NDArray[Any]) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values[int(p)] for p in positions)


def _joined(
    columns: Sequence[tuple[Any, ...] | None], parts: Sequence[Instances], nothing: Any
) -> tuple[Any, ...] | None:
    if all(column is None for column in columns):
        return None
    filled = [
        (nothing,) * len(part) if column is None else column
        for column, part in zip(columns, parts, strict=True)
    ]
    return tuple(item for column in filled for item in column)


def _joined_column(parts: Sequence[Instances], name: str) -> NDArray[Any]:
    """Join one measurement; parts without instances must not make floats of whole numbers."""
    columns = [part.measurements.get(name, np.full(len(part), np.nan)) for part in parts]
    return np.concatenate(columns)
