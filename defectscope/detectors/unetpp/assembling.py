"""From pieces of lines, which overlap and repeat each other, to lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.core.groups import ways_through

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.unetpp.pieces import Piece

__all__ = ["FoundLine", "assembled"]

# Places this near to each other are the same place of a line.
NEAR_PX = 3.0
# A piece of which this part lies on a longer one is not another line.
REPEATED = 0.75
# What it shows beyond the end of that one, in px, is a part of the line from here on.
LEAST_BEYOND_PX = 4
# Two pieces go on in each other where they share this much at least, and no more than this part.
LEAST_SHARED_PX, MOST_SHARED = 3, 0.8
SHARED_NEAR = 0.9
# Gaps between ends that face each other; the longer one within a mask.
GAP_PX, GAP_OF_MASK_PX = 10.0, 25.0
TURN_DEG, ASIDE_PX, BEHIND_PX = 25.0, 4.0, 1.0
# The direction of an end is that of its last points.
END_POINTS = 10


class FoundLine(NamedTuple):
    """A line, the mean probability of its masks and their width.

    Parameters
    ----------
    points
        (k, 2) x, y, px.
    score
        Mean probability of the masks.
    width_px
        Mean width of the masks.
    """

    points: NDArray[np.float64]
    score: float
    width_px: float


class _Join(NamedTuple):
    """Two ends, numbered 2·piece and 2·piece + 1, and what of each piece the other one shows."""

    cost: float
    first: int
    second: int
    shared: int


def assembled(pieces: Sequence[Piece]) -> list[FoundLine]:
    """Return the lines that pieces of any tiles and masks make up.

    Pieces that lie on longer ones are dropped; ends that run along each other, or face each other
    over a short gap, are joined, the closest first.

    Parameters
    ----------
    pieces
        In px of the frame.
    """
    kept = _distinct(pieces)
    joins = sorted([*_overlaps(kept), *_gaps(kept)])
    shared: dict[tuple[int, int], int] = {}
    for join in joins:
        for ends in ((join.first, join.second), (join.second, join.first)):
            shared.setdefault(ends, join.shared)
    ways = ways_through(len(kept), ((join.first, join.second) for join in joins))
    return [_line(kept, way, shared) for way in ways]


def _distinct(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces that do not repeat longer and surer ones.

    Those that do may show more of the line beyond its end, which is taken over.
    """
    from scipy.spatial import cKDTree

    order = sorted(range(len(pieces)), key=lambda k: -len(pieces[k].points) * pieces[k].score)
    kept: list[Piece] = []
    trees: list[Any] = []
    boxes = np.zeros((0, 4))
    for piece in (pieces[k] for k in order):
        points = piece.points
        low, high = points.min(axis=0), points.max(axis=0)
        near = (boxes[:, :2] <= high).all(axis=1) & (boxes[:, 2:] >= low).all(axis=1)
        for other in np.flatnonzero(near):
            apart, _ = trees[other].query(points, distance_upper_bound=NEAR_PX)
            beyond = np.isinf(apart)
            if beyond.mean() <= 1 - REPEATED:
                kept[other] = _extended(kept[other], piece, beyond)
                trees[other], boxes[other] = cKDTree(kept[other].points), _box(kept[other].points)
                break
        else:
            kept.append(piece)
            trees.append(cKDTree(points))
            boxes = np.vstack([boxes, _box(points)])
    return kept


def _box(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([points.min(axis=0) - NEAR_PX, points.max(axis=0) + NEAR_PX])


def _extended(line: Piece, piece: Piece, beyond: NDArray[np.bool_]) -> Piece:
    """Return a piece with what another one on it shows beyond an end that its tile cuts off."""
    points = piece.points
    for end in (0, 1):
        if not line.cut[end]:
            continue
        way = line.points if end else line.points[::-1]
        apart = np.hypot(*(points - way[-1]).T)
        foot = int(apart.argmin())
        if apart[foot] >= NEAR_PX:
            continue
        sides = (points[:foot][::-1], beyond[:foot]), (points[foot + 1 :], beyond[foot + 1 :])
        for other_end, (rest, off) in enumerate(sides):
            if off.sum() >= max(LEAST_BEYOND_PX, len(off) / 2):
                longer = np.concatenate([way, rest])
                cut = (line.cut[0], piece.cut[other_end]) if end else (
                    piece.cut[other_end], line.cut[1])  # fmt: skip
                line = line._replace(points=longer if end else longer[::-1], cut=cut)
                break
    return line


def _overlaps(pieces: Sequence[Piece]) -> list[_Join]:
    """Return the joins of pieces whose ends run along each other."""
    from scipy.spatial import cKDTree

    trees = [cKDTree(piece.points) for piece in pieces]
    joins = []
    for a, b in _near_ends(pieces):
        one, other = pieces[a // 2].points, pieces[b // 2].points
        tip, tail = one[-(a % 2)], other[-(b % 2)]
        # How far behind its own end each piece is met by the end of the other.
        (apart, foot), (apart_too, foot_too) = trees[b // 2].query(tip), trees[a // 2].query(tail)
        if max(apart, apart_too) >= NEAR_PX:
            continue
        shared = len(other) - 1 - foot if b % 2 else foot
        shared_too = len(one) - 1 - foot_too if a % 2 else foot_too
        if not LEAST_SHARED_PX <= shared < MOST_SHARED * len(other):
            continue
        if shared_too >= MOST_SHARED * len(one):
            continue
        along = other[-shared - 1 :] if b % 2 else other[: shared + 1]
        near, _ = trees[a // 2].query(along, distance_upper_bound=NEAR_PX)
        if np.isfinite(near).mean() > SHARED_NEAR:
            joins.append(_Join(float(apart + apart_too - shared / 20), a, b, int(shared)))
    return joins


def _near_ends(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """Return pairs of ends of which each lies on the piece of the other."""
    from scipy.spatial import cKDTree

    if not pieces:
        return []
    owner = np.repeat(np.arange(len(pieces)), [len(piece.points) for piece in pieces])
    tree = cKDTree(np.concatenate([piece.points for piece in pieces]))
    on = [
        set(owner[hits].tolist()) - {end // 2}
        for end, hits in enumerate(tree.query_ball_point(_tips(pieces), NEAR_PX))
    ]
    return [
        (a, b)
        for a, over in enumerate(on)
        for other in sorted(over)
        for b in (2 * other, 2 * other + 1)
        if a < b and a // 2 in on[b]
    ]


def _gaps(pieces: Sequence[Piece]) -> list[_Join]:
    """Return the joins of ends that face each other."""
    from scipy.spatial import cKDTree

    if not pieces:
        return []
    tips, ways = _tips(pieces), _ways(pieces)
    joins = []
    for a, b in sorted(cKDTree(tips).query_pairs(GAP_OF_MASK_PX)):
        one, other = pieces[a // 2], pieces[b // 2]
        gap = tips[b] - tips[a]
        length = float(np.hypot(*gap))
        most = GAP_OF_MASK_PX if one.source == other.source else GAP_PX
        turn = float(np.degrees(np.arccos(np.clip(-ways[a] @ ways[b], -1, 1))))
        aside = abs(gap[0] * ways[a, 1] - gap[1] * ways[a, 0])
        if (
            a // 2 != b // 2 and length <= most and turn < TURN_DEG
            and aside < ASIDE_PX and gap @ ways[a] >= -BEHIND_PX
        ):  # fmt: skip
            joins.append(_Join(length + turn / 20, a, b, 0))
    return joins


def _tips(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Return the (2n, 2) end points of n pieces, first before last."""
    return np.array([end for piece in pieces for end in (piece.points[0], piece.points[-1])])


def _ways(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    """Return the (2n, 2) directions in which lines leave at their ends."""
    ways = []
    for piece in pieces:
        k = min(END_POINTS, len(piece.points) - 1)
        ways += [piece.points[0] - piece.points[k], piece.points[-1] - piece.points[-1 - k]]
    found = np.array(ways)
    return np.asarray(found / np.maximum(np.hypot(*found.T), 1e-9)[:, None])


def _line(
    pieces: Sequence[Piece],
    way: Sequence[tuple[int, bool]],
    shared: Mapping[tuple[int, int], int],
) -> FoundLine:
    """Return pieces one after the other; what two share is taken from the first."""
    parts, last_end = [], -1
    for k, backwards in way:
        points = pieces[k].points[::-1] if backwards else pieces[k].points
        parts.append(points[shared.get((last_end, 2 * k + backwards), 0) :])
        last_end = 2 * k + (not backwards)
    lengths = [len(pieces[k].points) for k, _ in way]
    score = np.average([pieces[k].score for k, _ in way], weights=lengths)
    width_px = np.average([pieces[k].width_px for k, _ in way], weights=lengths)
    return FoundLine(np.concatenate(parts), float(score), float(width_px))
