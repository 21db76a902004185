"""What the network is to answer for known boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STRIDE", "Targets", "targets_of"]

STRIDE = 2
# Around a centre, the wanted probability falls with this part of the box as standard deviation.
SPREAD = 1 / 6
LEAST_SPREAD_PX = 1.2
# Cells of at least this closeness to a centre learn the sides of its box.
SIDES_FROM = 0.3


class Targets(NamedTuple):
    """Wanted outputs on the grid of cells of `STRIDE` px.

    Parameters
    ----------
    centres
        (classes, h, w) closeness to a centre, 1 in the cell that holds it.
    sides
        (4, h, w) distances to the left, upper, right and lower rim of the box, px.
    weights
        (h, w) how much the sides of a cell count.
    counted
        (h, w) 1 where the centre map counts, 0 in ignored boxes.
    """

    centres: NDArray[np.float32]
    sides: NDArray[np.float32]
    weights: NDArray[np.float32]
    counted: NDArray[np.float32]


def targets_of(
    boxes: NDArray[np.float32],
    classes: NDArray[np.intp],
    shape: tuple[int, int],
    count: int,
    ignore: NDArray[np.bool_] | None = None,
) -> Targets:
    """Return the targets of one crop.

    Parameters
    ----------
    boxes
        (n, 4) x_min, y_min, x_max, y_max in px of the crop; those with their centre outside are
        left out.
    classes
        (n,) positions of the defect types.
    shape
        (height, width) of the crop, multiples of `STRIDE`.
    count
        Number of defect types.
    ignore
        (n,) boxes in which nothing is learned.
    """
    h, w = shape[0] // STRIDE, shape[1] // STRIDE
    result = Targets(
        np.zeros((count, h, w), np.float32),
        np.zeros((4, h, w), np.float32),
        np.zeros((h, w), np.float32),
        np.ones((h, w), np.float32),
    )
    ignore = np.zeros(len(boxes), bool) if ignore is None else ignore
    for x_min, y_min, x_max, y_max in np.maximum(boxes[ignore], 0) / STRIDE:
        result.counted[int(y_min) : int(np.ceil(y_max)), int(x_min) : int(np.ceil(x_max))] = 0
    boxes, classes = boxes[~ignore], classes[~ignore]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # Small ones last: where boxes overlap, the smaller one is the harder to see.
    for k in np.argsort(-areas, kind="stable"):
        _add(result, boxes[k], int(classes[k]))
    return result


def _add(result: Targets, box: NDArray[np.float32], kind: int) -> None:
    h, w = result.weights.shape
    x_min, y_min, x_max, y_max = (float(v) for v in box)
    x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
    column, row = int(x // STRIDE), int(y // STRIDE)
    if not (0 <= column < w and 0 <= row < h):
        return
    spread_x = max(SPREAD * (x_max - x_min), LEAST_SPREAD_PX)
    spread_y = max(SPREAD * (y_max - y_min), LEAST_SPREAD_PX)
    # Beyond three standard deviations nothing is left.
    reach_x, reach_y = int(3 * spread_x / STRIDE) + 1, int(3 * spread_y / STRIDE) + 1
    place = (
        slice(max(row - reach_y, 0), row + reach_y + 1),
        slice(max(column - reach_x, 0), column + reach_x + 1),
    )
    rows, columns = np.ogrid[:h, :w]
    cy = ((rows[place[0]] + 0.5) * STRIDE).astype(np.float32)
    cx = ((columns[:, place[1]] + 0.5) * STRIDE).astype(np.float32)
    close = np.exp(-(((cx - x) / spread_x) ** 2 + ((cy - y) / spread_y) ** 2) / 2)
    close[row - place[0].start, column - place[1].start] = 1
    centres = result.centres[kind][place]
    np.maximum(centres, close, out=centres)
    near = close >= SIDES_FROM
    result.weights[place][near] = close[near]
    distances = (cx - x_min, cy - y_min, x_max - cx, y_max - cy)
    for side, distance in zip(result.sides, distances, strict=True):
        side[place][near] = np.broadcast_to(distance, close.shape)[near]
