"""From the output masks of one tile, or of several, to lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.geometry.smoothing import smoothed_curve
from defectscope.core.line_masks import unique_masks
from defectscope.core.masks import Mask
from defectscope.detectors.learning.tiles import padded, tiles_of
from defectscope.detectors.unetpp.assembling import FoundLine, assembled
from defectscope.detectors.unetpp.pieces import pieces_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.learning.tiles import Tile
    from defectscope.detectors.unetpp.pieces import Piece

__all__ = [
    "HALO_PX",
    "LEAST_AREA_PX",
    "FoundMask",
    "Tiling",
    "lines_in_tiles",
    "lines_of",
    "masks_of",
    "smooth",
]

# P1's constants.
PROBABILITY, SAME_BELOW, POINTS = 0.5, 0.5, 50
SMOOTHING_PX = 14.0
# What neighbouring tiles share, unless told otherwise.
HALO_PX = 96
# Smaller masks are dropped, unless told otherwise.
LEAST_AREA_PX = 20
# An end this near to the side of its tile is cut off there.
CUT_PX = 6


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


def lines_in_tiles(
    values: NDArray[np.float32],
    network: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    tiling: Tiling,
    least_area_px: int,
) -> list[FoundLine]:
    """Return the lines of a frame, which is looked at in tiles.

    Parameters
    ----------
    values
        (H, W) normalised grey levels.
    network
        Gives the logits (1, N, h, w) of a batch (1, 1, h, w).
    tiling
        How the frame is cut.
    least_area_px
        Smaller parts of masks are dropped.
    """
    shape, parts = (values.shape[0], values.shape[1]), []
    for tile in tiles_of(shape, *tiling):
        window = tile.cut(values)
        (logits,) = network(padded([window], tiling.multiple_px, "reflect"))
        planes = logits[:, : window.shape[0], : window.shape[1]]
        parts.append((tile, masks_of(planes, least_area_px)))
    return lines_of(parts, shape, least_area_px)


def lines_of(
    parts: Sequence[tuple[Tile, list[FoundMask]]], shape: tuple[int, int], least_area_px: int
) -> list[FoundLine]:
    """Return the lines that the masks of all tiles show together.

    Parameters
    ----------
    parts
        Each tile with its masks, in px of the tile.
    shape
        H, W of the frame.
    least_area_px
        Smaller parts of masks are dropped.
    """
    pieces: list[Piece] = []
    numbers = count()
    for tile, masks in parts:
        for found in masks:
            mask, source = found.mask.moved(tile.x_min, tile.y_min), next(numbers)
            pieces += [
                piece._replace(cut=_cut_ends(piece.points, tile, shape))
                for piece in pieces_of(mask, found.score, source, least_area_px)
            ]
    return [line._replace(points=smooth(line.points)) for line in assembled(pieces)]


def _cut_ends(points: NDArray[np.float64], tile: Tile, shape: tuple[int, int]) -> tuple[bool, bool]:
    """Return which ends of a line lie at a side of a tile that is no side of the frame."""
    sides = (
        (0, tile.x_min, 1, tile.x_min > 0), (0, tile.x_max, -1, tile.x_max < shape[1]),
        (1, tile.y_min, 1, tile.y_min > 0), (1, tile.y_max, -1, tile.y_max < shape[0]),
    )  # fmt: skip
    first, last = (
        any(inner and sign * (end[axis] - at) < CUT_PX for axis, at, sign, inner in sides)
        for end in points[[0, -1]]
    )
    return first, last


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


def smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (50, 2) points of the spline through the course of a line (P1)."""
    return smoothed_curve(points, SMOOTHING_PX, count=POINTS)
