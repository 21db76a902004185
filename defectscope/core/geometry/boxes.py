"""Axis-parallel boxes: ``x_min, y_min, x_max, y_max``, half open, in px."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["box_areas", "box_centres", "box_iou_matrix", "box_part_matrix", "clip_boxes"]


def box_areas(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the (n,) areas in px²."""
    b = np.asarray(boxes, float).reshape(-1, 4)
    areas: NDArray[np.float64] = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    return areas


def box_centres(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the (n, 2) centres x, y in px."""
    b = np.asarray(boxes, float).reshape(-1, 4)
    centres: NDArray[np.float64] = (b[:, :2] + b[:, 2:]) / 2
    return centres


def box_iou_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the (n, m) intersection over union of every box of `a` with every box of `b`."""
    common = _intersections(a, b)
    union = box_areas(a)[:, None] + box_areas(b)[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def box_part_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the (n, m) part of every box of `a`, by area, that lies in every box of `b`."""
    common = _intersections(a, b)
    areas = np.broadcast_to(box_areas(a)[:, None], common.shape)
    return np.asarray(np.divide(common, areas, out=np.zeros_like(common), where=areas > 0))


def _intersections(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    first, second = np.asarray(a, float).reshape(-1, 4), np.asarray(b, float).reshape(-1, 4)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=2))


def clip_boxes(boxes: ArrayLike, shape: tuple[int, int]) -> NDArray[Any]:
    """Return `boxes` cut at the rim of an image of `shape` (height, width)."""
    b = np.asarray(boxes, float).reshape(-1, 4)
    return np.asarray(np.clip(b, 0, [shape[1], shape[0], shape[1], shape[0]]))
