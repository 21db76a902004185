"""Sightings of one defect in successive frames: boxes linked into chains, as frames come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ChainLinker", "box_agreement"]

# Two boxes may be one defect from this overlap on, or where their centres are nearer than this
# fraction of their mean side: a thin line that moves by its width overlaps with nothing.
LEAST_IOU = 0.2
NEAR_CENTRES = 0.5


def box_agreement(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return which boxes may be one defect, and how well they agree.

    Parameters
    ----------
    first, second
        (n, 4) and (m, 4) boxes ``x_min, y_min, x_max, y_max`` in px.

    Returns
    -------
    rows, columns : (k,) int arrays
        Positions of the pairs, sorted by row, then by column.
    agreement : (k,) array
        The intersection over union, where that is at least 0.2; else, where the centres are
        nearer than half the mean side of both boxes, a value from 0.2 down to 0 at that distance.
    """
    centres_1, sides_1 = (first[:, :2] + first[:, 2:]) / 2, first[:, 2:] - first[:, :2]
    centres_2, sides_2 = (second[:, :2] + second[:, 2:]) / 2, second[:, 2:] - second[:, :2]
    # Boxes further apart than their longer sides allow can neither overlap nor be near.
    reach = (sides_1.max(axis=1, initial=0)[:, None] + sides_2.max(axis=1, initial=0)) / 2
    close = np.abs(centres_1[:, :1] - centres_2[:, 0]) <= reach
    close &= np.abs(centres_1[:, 1:] - centres_2[:, 1]) <= reach
    rows, columns = np.nonzero(close)
    a, b = first[rows], second[columns]
    common = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(
        axis=1
    )
    union = sides_1[rows].prod(axis=1) + sides_2[columns].prod(axis=1) - common
    iou = common / np.maximum(union, 1e-12)
    distance = np.hypot(*(centres_1[rows] - centres_2[columns]).T)
    limit = NEAR_CENTRES * (sides_1[rows] + sides_2[columns]).sum(axis=1) / 4
    near = LEAST_IOU * (1 - distance / np.maximum(limit, 1e-12))
    agreement = np.where(iou >= LEAST_IOU, iou, near)
    fit = agreement > 0
    return rows[fit], columns[fit], agreement[fit]


@dataclass(frozen=True)
class _Ends:
    """The last sightings of the chains that may still go on, older ones first."""

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    kinds: NDArray[np.int64]
    chains: NDArray[np.int64]

    def __getitem__(self, chosen: NDArray[Any]) -> _Ends:
        return _Ends(*(column[chosen] for column in vars(self).values()))

    def followed_by(self, other: _Ends) -> _Ends:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Ends(*(np.concatenate(pair) for pair in pairs))


class ChainLinker:
    """Says which detections of successive frames are sightings of one defect.

    A detection goes on the chain whose last sighting lies nearest in time and, of these, agrees
    best with it; types must be the same. Pairs are made greedily, one to one. So whether two
    detections are of one chain depends on nothing but the frames from the one to the other, and
    not on the order of the rows in a frame.

    Parameters
    ----------
    reach
        Largest difference of the frame indices of two successive sightings.
    """

    def __init__(self, reach: int) -> None:
        self.reach = reach
        none = np.zeros(0, np.int64)
        self._ends = _Ends(none, np.zeros((0, 4)), none, none)
        self._kinds: dict[str, int] = {}
        self._begun = 0

    def link(
        self, frame: int, boxes: NDArray[np.float64], types: NDArray[Any]
    ) -> NDArray[np.int64]:
        """Return the (n,) numbers of the chains that the detections of the next frame belong to.

        Parameters
        ----------
        frame
            Frame index, above that of the frame before.
        boxes
            (n, 4) boxes in px.
        types
            (n,) names of defect types.
        """
        kinds = np.array([self._kinds.setdefault(t, len(self._kinds)) for t in types], np.int64)
        # By place, so that the order of the rows decides nothing, not even between equals.
        order = np.lexsort((kinds, *boxes.T[::-1]))
        boxes, kinds = boxes[order], kinds[order]
        ends = self._ends[self._ends.frames >= frame - self.reach]
        chains = np.full(len(boxes), -1, np.int64)
        gone_on = np.zeros(len(ends.frames), bool)
        for end, new in self._pairs(ends, frame, boxes, kinds):
            if chains[new] < 0 and not gone_on[end]:
                chains[new] = ends.chains[end]
                gone_on[end] = True
        fresh = chains < 0
        chains[fresh] = self._begun + np.arange(np.count_nonzero(fresh))
        self._begun += int(np.count_nonzero(fresh))
        now = _Ends(np.full(len(boxes), frame, np.int64), boxes, kinds, chains)
        self._ends = ends[~gone_on].followed_by(now)
        given = np.empty_like(chains)
        given[order] = chains
        return given

    @staticmethod
    def _pairs(
        ends: _Ends, frame: int, boxes: NDArray[np.float64], kinds: NDArray[np.int64]
    ) -> list[tuple[int, int]]:
        """Return who may go on whom: the latest sightings first, then by agreement."""
        rows, columns, agreement = box_agreement(ends.boxes, boxes)
        same = ends.kinds[rows] == kinds[columns]
        rows, columns, agreement = rows[same], columns[same], agreement[same]
        order = np.lexsort((-agreement, frame - ends.frames[rows]))
        return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))
