"""From the output masks of one tile, or of several, to lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.skeletons import skeleton_path
from defectscope.core.geometry.smoothing import smoothed_curve
from defectscope.core.groups import joined
from defectscope.core.line_masks import unique_masks, united
from defectscope.core.masks import Mask, mask_intersection
from defectscope.detectors.learning.tiles import padded, tiles_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.learning.tiles import Tile

__all__ = [
    "HALO_PX",
    "FoundMask",
    "Tiling",
    "joined_tiles",
    "masks_in_tiles",
    "masks_of",
    "spline_of",
]

# P1's constants.
PROBABILITY, SAME_BELOW, POINTS = 0.5, 0.5, 50
SMOOTHING_PX = 14.0
# What neighbouring tiles share, unless told otherwise.
HALO_PX = 96
# Of what two tiles both see of two masks, this part must agree for them to be one line.
AGREEING = 0.4
LEAST_SEEN_PX = 8


class FoundMask(NamedTuple):
    """A mask, and the mean probability of its pixels."""

    mask: Mask
    score: float


class Tiling(NamedTuple):
    """Side of the tiles, what neighbours share, and of what their sides are multiples, px."""

    tile_px: int
    halo_px: int
    multiple_px: int

    @classmethod
    def of(cls, tile_px: int, multiple_px: int, halo_px: int = HALO_PX) -> Tiling:
        """Return tiles that share at most half of their side."""
        return cls(tile_px, min(halo_px, tile_px // 2), multiple_px)


def masks_in_tiles(
    values: NDArray[np.float32],
    network: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    tiling: Tiling,
    least_area_px: int,
) -> list[FoundMask]:
    """Return the masks of a frame, which is looked at in tiles.

    Parameters
    ----------
    values
        (H, W) normalised grey levels.
    network
        Gives the logits (1, N, h, w) of a batch (1, 1, h, w).
    tiling
        How the frame is cut.
    least_area_px
        Smaller ones are dropped.
    """
    shape, parts = (values.shape[0], values.shape[1]), []
    for tile in tiles_of(shape, *tiling):
        window = tile.cut(values)
        (logits,) = network(padded([window], tiling.multiple_px, "reflect"))
        planes = logits[:, : window.shape[0], : window.shape[1]]
        parts.append((tile, masks_of(planes, least_area_px)))
    return joined_tiles(parts, least_area_px)


def masks_of(logits: NDArray[np.float32], least_area_px: int) -> list[FoundMask]:
    """Return the masks of one tile without empty, tiny and repeated ones.

    Parameters
    ----------
    logits
        (N, h, w).
    least_area_px
        Smaller ones are dropped.
    """
    found = []
    for plane in logits:
        inside = plane >= 0  # a probability of 0.5
        if np.count_nonzero(inside) < max(1, least_area_px):
            continue
        score = float((1 / (1 + np.exp(-plane[inside].astype(np.float64)))).mean())
        found.append(FoundMask(Mask.from_dense(inside), score))
    keep = unique_masks(
        [f.mask for f in found], [f.score for f in found], least_area_px, SAME_BELOW
    )
    return [found[k] for k in keep]


def joined_tiles(
    parts: Sequence[tuple[Tile, list[FoundMask]]], least_area_px: int
) -> list[FoundMask]:
    """Return the masks of a frame: those of neighbouring tiles that agree where both look are one.

    Parameters
    ----------
    parts
        Each tile with its masks, in px of the tile.
    least_area_px
        Smaller ones are dropped in the end.
    """
    placed = [
        (number, FoundMask(f.mask.moved(tile.x_min, tile.y_min), f.score))
        for number, (tile, masks) in enumerate(parts)
        for f in masks
    ]
    members_of = [[k for k, (tile, _) in enumerate(placed) if tile == n] for n in range(len(parts))]
    pairs = []
    for i, j in combinations(range(len(parts)), 2):
        shared = _shared_window(parts[i][0], parts[j][0])
        if shared is None:
            continue
        one, other = ([_cut(placed[k][1].mask, shared) for k in members_of[n]] for n in (i, j))
        agreement = np.array([[_agreement(a, b) for b in other] for a in one])
        pairs += [(members_of[i][k], members_of[j][m]) for k, m in _pairs(agreement)]
    found = []
    for group in joined(len(placed), pairs):
        members = [placed[k][1] for k in group]
        mask = members[0].mask
        for member in members[1:]:
            mask = united(mask, member.mask)
        areas = [member.mask.area_px for member in members]
        score = float(np.average([m.score for m in members], weights=areas))
        found.append(FoundMask(mask, score))
    keep = unique_masks([f.mask for f in found], [f.score for f in found], least_area_px,
                        SAME_BELOW)  # fmt: skip
    return [found[k] for k in keep]


def _pairs(agreement: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return which masks of one tile are which of another one: each is one of them at most.

    Where two lines cross in the halo each agrees with both; all in all, with itself the most.
    """
    if not agreement.size or agreement.max() < AGREEING:
        return []
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(agreement, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(k, m) for k, m in pairs if agreement[k, m] >= AGREEING]


def _shared_window(tile: Tile, other: Tile) -> tuple[int, int, int, int] | None:
    """Return x0, y0, x1, y1 of what two tiles both see; None where that is nothing."""
    x0, y0 = max(tile.x_min, other.x_min), max(tile.y_min, other.y_min)
    x1, y1 = min(tile.x_max, other.x_max), min(tile.y_max, other.y_max)
    return None if x1 <= x0 or y1 <= y0 else (x0, y0, x1, y1)


def _cut(mask: Mask, window: tuple[int, int, int, int]) -> Mask:
    x0, y0, x1, y1 = window
    return mask.moved(-x0, -y0).clipped((y1 - y0, x1 - x0))


def _agreement(first: Mask, second: Mask) -> float:
    """Return the part of the smaller one that two masks of the same window share."""
    least = min(first.area_px, second.area_px)
    return mask_intersection(first, second) / least if least >= LEAST_SEEN_PX else 0.0


def spline_of(mask: Mask) -> NDArray[np.float64]:
    """Return the (50, 2) points of the spline through a mask's skeleton (P1)."""
    return smoothed_curve(skeleton_path(mask), SMOOTHING_PX, count=POINTS)
