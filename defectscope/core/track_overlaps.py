"""How well what two tracks show of one frame fits: lines by their distance, all else by boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.geometry.boxes import box_iou_matrix, box_part_matrix
from defectscope.core.line_pairs import MOST_DISTANCE_PX, lies_along, line_distances
from defectscope.core.matching import COVERED_PART

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sighted", "lying_in", "overlaps"]


@dataclass(frozen=True)
class Sighted:
    """What tracks show of one frame.

    Parameters
    ----------
    boxes
        (n, 4) ``x_min, y_min, x_max, y_max``, px.
    lines
        (k, 2) points x, y of each, px; (0, 2) where there is none. Empty where there are no lines.
    """

    boxes: NDArray[np.float64]
    lines: Sequence[NDArray[np.float64]]

    def __getitem__(self, chosen: NDArray[np.intp]) -> Sighted:
        return Sighted(self.boxes[chosen], [self.lines[k] for k in chosen] if self.lines else ())

    @property
    def with_line(self) -> NDArray[np.intp]:
        """Positions of those that have a line."""
        return np.array([k for k, line in enumerate(self.lines) if len(line)], np.intp)


def overlaps(predicted: Sighted, true: Sighted, cut_off: float) -> NDArray[np.float64]:
    """Return the (n, m) overlaps of all with all, 0 to 1.

    Of two lines it is at least `cut_off` where they match as lines, the larger the nearer they
    are, and 0 where they do not.
    """
    result = box_iou_matrix(predicted.boxes, true.boxes)
    rows, columns = predicted.with_line, true.with_line
    distance = line_distances([predicted.lines[k] for k in rows], [true.lines[k] for k in columns])
    near = np.where(np.isfinite(distance), 1 - distance / (MOST_DISTANCE_PX + 1), 0.0)
    result[np.ix_(rows, columns)] = np.where(near > 0, cut_off + (1 - cut_off) * near, 0.0)
    return result


def lying_in(predicted: Sighted, ignored: Sighted) -> NDArray[np.bool_]:
    """Return which lie in what is to be ignored: half of a box in its box, a line along its line.

    See :func:`~defectscope.core.matching.covered`, which is about boxes alone.
    """
    inside = box_part_matrix(predicted.boxes, ignored.boxes) >= COVERED_PART
    for row in predicted.with_line:
        for column in ignored.with_line:
            part, whole = predicted.lines[row], ignored.lines[column]
            inside[row, column] = lies_along(part, whole, MOST_DISTANCE_PX)
    return np.asarray(inside.any(axis=1))
