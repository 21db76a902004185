"""From single annotations to the instances of an image, under the same rules for all formats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defectscope.core.defect_types import UNCERTAIN
from defectscope.core.errors import FormatError
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.core.tables import ORIGINS
from defectscope.readers.formats.holdings import ELLIPSE_UNITS, Ellipse, Notes

__all__ = ["Annotation", "collect", "smallest_size"]

# Other tools score in percent or log-odds; only what no float32 holds is nonsense.
LARGEST_SCORE = 1e30
LARGEST_SIDE_PX = 2**15
# A box that ends at the rim may come back this far beyond it, from fractions or short decimals.
ROUNDING_PX = 1e-3


@dataclass(frozen=True)
class Annotation:
    """One annotation, not yet checked against its image.

    Parameters
    ----------
    where
        File and entry, for messages.
    box
        ``x_min, y_min, x_max, y_max`` in px, half open.
    defect_type
        Its name; ``uncertain`` is truth that counts as neither hit nor miss.
    mask, line, ellipse
        Geometry, where there is any; an ellipse is x, y, major, minor in px and an angle in
        degrees.
    track_id
        In sequences: the same for the same defect.
    origin
        ``detector``, ``interpolated`` or ``human``, where it is known.
    """

    where: str
    box: Sequence[float]
    defect_type: str
    score: float = 1.0
    ignore: bool = False
    mask: Mask | None = None
    line: NDArray[np.float64] | None = None
    ellipse: Ellipse | None = None
    track_id: int | None = None
    origin: str | None = None


def collect(annotations: Iterable[Annotation], shape: tuple[int, int], notes: Notes) -> Instances:
    """Return the instances of an image of `shape` (height, width).

    Boxes are cut at the rim of the image; those wholly outside are dropped; both are counted
    in `notes`. Where only some annotations have a mask or a line, the others get an empty one.

    Raises
    ------
    FormatError
        A box is empty or not finite, or a score cannot be kept.
    """
    kept: list[Annotation] = []
    boxes: list[NDArray[np.float64]] = []
    for annotation in annotations:
        if not abs(annotation.score) <= LARGEST_SCORE:
            raise FormatError(
                f"{annotation.where}: expected a score from 0 to 1, found {annotation.score}"
            )
        box = _box_inside(annotation, shape, notes)
        if box is not None:
            kept.append(annotation)
            boxes.append(box)
    if not kept:
        return Instances.empty(shape)
    masks = None
    if any(a.mask is not None for a in kept):
        masks = tuple(
            Mask(0, 0, np.zeros((0, 0), bool)) if a.mask is None else a.mask for a in kept
        )
    lines = None
    if any(a.line is not None for a in kept):
        lines = tuple(np.zeros((0, 2)) if a.line is None else a.line for a in kept)
    columns = _columns(kept)
    return Instances(
        shape,
        np.array(boxes, np.float32),
        np.array([a.score for a in kept], np.float32),
        np.array([a.defect_type for a in kept]),
        np.array([a.ignore or a.defect_type == UNCERTAIN for a in kept]),
        masks,
        lines,
        columns,
        {name: ELLIPSE_UNITS.get(name, "") for name in columns},
    )


def smallest_size(annotations: Iterable[tuple[str, Sequence[float]]]) -> tuple[int, int]:
    """Return (height, width) of the smallest frame that holds all boxes.

    Parameters
    ----------
    annotations
        Where each box stands, and the box.

    Raises
    ------
    FormatError
        A box reaches farther than any image does.
    """
    width, height = 1, 1
    for where, (_, _, right, bottom) in annotations:
        if not max(right, bottom) <= LARGEST_SIDE_PX:
            raise FormatError(
                f"{where}: the box reaches to {right:g}, {bottom:g} px, and there is no image to "
                "compare it with; is it in another unit?"
            )
        width, height = max(width, math.ceil(right)), max(height, math.ceil(bottom))
    return height, width


def _box_inside(
    annotation: Annotation, shape: tuple[int, int], notes: Notes
) -> NDArray[np.float64] | None:
    box = np.array(annotation.box, float)
    if not np.isfinite(box).all():
        raise FormatError(
            f"{annotation.where}: expected a box of finite numbers, found {box.tolist()}"
        )
    width, height = box[2] - box[0], box[3] - box[1]
    if width <= 0 or height <= 0:
        raise FormatError(
            f"{annotation.where}: expected a box of positive width and height, "
            f"found {width:g} x {height:g} px; correct or remove it"
        )
    inside: NDArray[np.float64] = clip_boxes(box, shape)[0]
    low, high = inside[:2].astype(np.float32), inside[2:].astype(np.float32)
    if (high <= low).any():
        notes.count("boxes outside of their image, left out")
        return None
    if np.abs(inside - box).max() > ROUNDING_PX:
        notes.count("boxes that reached over the rim of their image, cut there")
    return inside


def _columns(kept: Sequence[Annotation]) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    if any(a.ellipse is not None for a in kept):
        nothing = (np.nan,) * 5
        values = np.array([nothing if a.ellipse is None else a.ellipse for a in kept], float)
        columns.update(zip(ELLIPSE_UNITS, values.T, strict=True))
    if any(a.track_id is not None for a in kept):
        ids = [a.track_id for a in kept]
        # Whole numbers stay whole where every instance has one.
        columns["track_id"] = (
            np.array([np.nan if i is None else i for i in ids], float)
            if None in ids
            else np.array(ids, np.int64)
        )
    if any(a.origin in ORIGINS for a in kept):
        columns["origin"] = np.array(
            [ORIGINS.index(a.origin) if a.origin in ORIGINS else np.nan for a in kept], float
        )
    return columns
