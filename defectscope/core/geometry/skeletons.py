"""The course of a thin mask: Lee's skeleton, and the longest path through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.geometry.smoothing import smoothed_curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.masks import Mask

__all__ = ["cleaned", "longest_path", "mask_course", "skeleton_path"]

STRUCTURE = np.ones((3, 3), int)
# As skeleton-spline has them by default: shorter bends are noise, and P1's number of points.
SMOOTHING_PX, POINTS = 14.0, 50


def cleaned(bitmap: NDArray[np.bool_], close_px: int) -> NDArray[np.bool_]:
    """Return the largest part of a bitmap, gaps and holes of up to `close_px` closed.

    Parameters
    ----------
    bitmap
        (h, w).
    close_px
        0 closes nothing.
    """
    from scipy import ndimage

    filled = np.pad(bitmap, close_px + 1)
    if close_px:
        filled = ndimage.binary_closing(filled, STRUCTURE, iterations=close_px)
    labels, count = ndimage.label(filled, STRUCTURE)
    if count > 1:
        filled = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    inner = slice(close_px + 1, -close_px - 1)
    return np.asarray(filled[inner, inner], bool)


def longest_path(skeleton: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the (k, 2) rows and columns of the longest way through a skeleton.

    Branches that are shorter are left out. The way is the shortest between the two pixels that lie
    farthest apart along the skeleton, exact where it has no loops. Where the way round its largest
    hole is longer, that is returned: it begins and ends at one pixel.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    rows, columns = np.nonzero(skeleton)
    n = len(rows)
    if n < 2:
        return np.stack([rows, columns], axis=1)
    number = np.full((skeleton.shape[0] + 2, skeleton.shape[1] + 2), -1, np.intp)
    number[rows + 1, columns + 1] = np.arange(n)
    first, second, length = [], [], []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = number[rows + 1 + dy, columns + 1 + dx]
        near = other >= 0
        first.append(np.flatnonzero(near))
        second.append(other[near])
        length.append(np.full(int(near.sum()), np.hypot(dy, dx)))
    a, b, d = (np.concatenate(part) for part in (first, second, length))
    closed = _closed(a, b, n)
    if closed:
        # Without its first pixel a loop is a line between that pixel's two neighbours.
        keep = (a != 0) & (b != 0)
        a, b, d = a[keep], b[keep], d[keep]
    # Its stubs refuse a single index.
    shortest: Any = dijkstra
    graph = csr_array((np.tile(d, 2), (np.r_[a, b], np.r_[b, a])), shape=(n, n))
    start = 1 if closed else 0
    start = _farthest(shortest(graph, indices=start))
    distance, before = shortest(graph, indices=start, return_predecessors=True)
    here, way = _farthest(distance), list[int]()
    while here >= 0:
        way.append(here)
        here = int(before[here])
    if closed:
        way = [0, *way, 0]
    elif len(a) >= n:  # else it is a tree
        round_way, length_px = _round_hole(skeleton, rows, columns, (a, b, d))
        if length_px > distance[way[0]]:
            way = round_way
    return np.stack([rows[way], columns[way]], axis=1)


def _round_hole(
    skeleton: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    steps: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]],
) -> tuple[list[int], float]:
    """Return the shortest way round the largest hole and its length, px; 0 where there is no hole.

    It is closed: its last pixel is its first. `steps` are the two pixels and the length of each
    step from pixel to pixel.
    """
    from scipy import ndimage
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    labels, count = ndimage.label(np.pad(~skeleton, 1, constant_values=True))
    if count < 2:
        return [], 0.0
    sizes = np.bincount(labels.ravel())
    sizes[[0, labels[0, 0]]] = 0
    row, column = np.argwhere(labels == sizes.argmax())[0] - 1
    # What goes round the hole crosses a ray from it an odd number of times. Each pixel is there
    # twice, and steps across the ray lead from the one to the other.
    a, b, d = steps
    below = np.where(rows[a] > rows[b], a, b)
    above = np.where(rows[a] > rows[b], b, a)
    crosses = (rows[above] == row) & (rows[below] == row + 1) & (columns[above] > column)
    n = len(rows)
    other = np.where(crosses, n, 0)
    ends = np.r_[a, a + n], np.r_[b + other, b + n - other]
    graph = csr_array(
        (np.tile(d, 4), (np.r_[ends[0], ends[1]], np.r_[ends[1], ends[0]])), shape=(2 * n, 2 * n)
    )
    starts = np.unique(above[crosses])
    shortest: Any = dijkstra
    distance, before = shortest(graph, indices=starts, return_predecessors=True)
    around = distance[np.arange(len(starts)), starts + n]
    best = int(around.argmin())
    here, way = int(starts[best] + n), list[int]()
    while here >= 0:
        way.append(here % n)
        here = int(before[best, here])
    return way, float(around[best])


def _closed(a: NDArray[np.intp], b: NDArray[np.intp], n: int) -> bool:
    degree = np.bincount(np.r_[a, b], minlength=n)
    return n > 3 and bool((degree == 2).all())


def _farthest(distance: NDArray[np.float64]) -> int:
    return int(np.where(np.isfinite(distance), distance, -1).argmax())


def skeleton_path(mask: Mask, close_px: int = 1) -> NDArray[np.float64]:
    """Return the (k, 2) points x, y, px, of the longest way through a mask's Lee skeleton.

    Parameters
    ----------
    mask
        A thin mask; nothing comes of one without pixels.
    close_px
        Gaps of up to twice this are closed first.

    Notes
    -----
    P1: Govind et al., who skeletonize with Lee's method (1994). On the crop of a mask it gives the
    same pixels as on the whole frame, in a fifth of the time.
    """
    from skimage.morphology import skeletonize

    if not mask.bitmap.any():
        return np.zeros((0, 2))
    # A rim of nothing: a mask that touches the edges of its crop must not be cut there.
    bitmap = np.pad(cleaned(mask.bitmap, close_px), 1)
    path = longest_path(np.asarray(skeletonize(bitmap, method="lee"), bool))
    return np.asarray(path[:, ::-1] + np.array([mask.x - 0.5, mask.y - 0.5]), np.float64)


def mask_course(mask: Mask) -> NDArray[np.float64]:
    """Return the (50, 2) points x, y, px, of the spline through a mask's skeleton.

    Nothing comes of a mask without pixels, and one point of a mask of one.
    """
    path = skeleton_path(mask)
    return smoothed_curve(path, SMOOTHING_PX, count=POINTS) if len(path) > 1 else path
