"""What boxes show: the enlarged crops around them, stacked, without their backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.postproc.grey_levels import otsu_thresholds, without_planes
from defectscope.postproc.stacking import Stacking

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OUTER_ZONE", "SMALLEST_MARGIN_PX", "Crop", "Crops", "cut_crops"]

# In units of the ellipse inscribed in the box. A tilted ellipse reaches out of the inscribed one
# towards the corners (up to 1.41), and boxes are off by a tenth of their size.
OUTER_ZONE = 1.4
BACKGROUND_FROM = 1.25
INNER_CORE = 0.2
# A smaller box says nothing about the extent of what it holds.
SMALLEST_HALF_SIDE_PX = 2.0
SMALLEST_MARGIN_PX = 4.0
# Crops are stacked up to this many pixels, which stay in the processor's cache.
STACK_PX = 2**16


class Crop(NamedTuple):
    """The surroundings of one box.

    Parameters
    ----------
    signal
        (h, w) float32: how far each pixel stands out of the local background (0 on average);
        defects are positive.
    radius
        (h, w) elliptical distance from the box's centre: 1 on the ellipse inscribed in the box.
    other_radius
        (h, w) the same for the nearest other box, or None where no other box is near.
    short_half_px
        Half the shorter side of the box.
    """

    signal: NDArray[np.float32]
    radius: NDArray[np.float32]
    other_radius: NDArray[np.float32] | None
    short_half_px: float

    @property
    def core(self) -> NDArray[np.bool_]:
        """The innermost pixels of the box, at least one."""
        return self.radius <= max(INNER_CORE, float(self.radius.min()))


@dataclass(frozen=True, eq=False)
class Crops:
    """The surroundings of several boxes, stacked.

    Parameters
    ----------
    members
        Position of each box among those that were given.
    corners
        x, y of each crop's first pixel in the frame.
    stacking
        Where the crops lie.
    signal, radius
        As of :class:`Crop`.
    raised
        (h, w) bool: above Otsu's threshold, and in the zone that may belong to the defect.
    spread
        Standard deviation of each background's texture; NaN where too little of it is seen.
    other_radii
        By crop, as ``other_radius`` of :class:`Crop`; only where another box is near.
    short_half_px
        Half the shorter side of each box.
    """

    members: list[int]
    corners: list[tuple[int, int]]
    stacking: Stacking
    signal: NDArray[np.float32]
    radius: NDArray[np.float32]
    raised: NDArray[np.bool_]
    spread: NDArray[np.float64]
    other_radii: dict[int, NDArray[np.float32]]
    short_half_px: list[float]

    def __getitem__(self, k: int) -> Crop:
        place = self.stacking.places[k]
        return Crop(
            self.signal[place], self.radius[place], self.other_radii.get(k), self.short_half_px[k]
        )


def cut_crops(
    signal: NDArray[np.float32],
    boxes: NDArray[Any],
    others: Sequence[NDArray[Any]],
    margin: float,
) -> Iterator[Crops]:
    """Cut out the surroundings of boxes, and take a plane through their background away.

    Parameters
    ----------
    signal
        (H, W) as :func:`signal_image` returns it.
    boxes
        (n, 4) x_min, y_min, x_max, y_max.
    others
        Of each box, the (k, 4) other boxes of the frame that may reach into its crop.
    margin
        What is added on each side, as a fraction of that side.

    Yields
    ------
    Crops
        As many at once as fit into the cache, small ones first; without boxes that lie outside
        the frame.
    """
    size = np.array(signal.shape[::-1])
    exact = np.asarray(boxes, float)
    grow = np.maximum(margin * (exact[:, 2:] - exact[:, :2]), SMALLEST_MARGIN_PX)
    first = np.maximum((exact[:, :2] - grow).astype(np.intp), 0)
    last = np.minimum(np.ceil(exact[:, 2:] + grow).astype(np.intp), size)
    # Boxes outside of the frame show nothing.
    inside = np.concatenate([exact[:, :2] < size, exact[:, 2:] > 0], axis=1)
    seen = np.flatnonzero(inside.all(axis=1))
    for chosen in _batches(last - first, seen):
        yield _cut(signal, exact, others, chosen, first[chosen], last[chosen])


def _batches(sides: NDArray[np.intp], seen: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield positions of crops of about the same width, so that little of a stack is empty."""
    order = seen[np.argsort(sides[seen, 0], kind="stable")]
    batch: list[int] = []
    rows = 0
    for k in order.tolist():
        width, height = sides[k].tolist()
        if batch and (rows + height) * width > STACK_PX:
            yield np.array(batch, np.intp)
            batch, rows = [], 0
        batch.append(k)
        rows += height
    if batch:
        yield np.array(batch, np.intp)


def _cut(
    signal: NDArray[np.float32],
    boxes: NDArray[np.float64],
    others: Sequence[NDArray[Any]],
    chosen: NDArray[np.intp],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
) -> Crops:
    stacking = Stacking(last[:, 1] - first[:, 1], last[:, 0] - first[:, 0])
    cuts = np.zeros(stacking.shape, np.float32)
    corners = [(int(x), int(y)) for x, y in first.tolist()]
    for place, (x0, y0), (x1, y1) in zip(stacking.places, corners, last.tolist(), strict=True):
        cuts[place] = signal[y0:y1, x0:x1]
    radius = _elliptical_radii(boxes[chosen], first, stacking)
    outside = (radius > BACKGROUND_FROM) & stacking.filled
    zone = (radius < OUTER_ZONE) & stacking.filled
    other_radii = _nearest_radii([others[k] for k in chosen.tolist()], first, stacking)
    for k, nearest in other_radii.items():
        place = stacking.places[k]
        beyond = nearest > 1
        outside[place] &= beyond
        zone[place] &= beyond | (radius[place] <= nearest)
    thresholds = otsu_thresholds(stacking.split(cuts[zone], stacking.count(zone)))
    raised = cuts > stacking.a_row(thresholds)
    # Outside and not raised, in one call.
    flat, spread = without_planes(cuts, outside > raised, stacking)
    raised &= zone
    short = (boxes[chosen, 2:] - boxes[chosen, :2]).min(axis=1) / 2
    return Crops(chosen.tolist(), corners, stacking, flat, radius, raised, spread, other_radii,
                 short.tolist())  # fmt: skip


def _elliptical_radii(
    boxes: NDArray[np.float64], first: NDArray[np.intp], stacking: Stacking
) -> NDArray[np.float32]:
    """Return the distance from the centre of each crop's box, 1 on its inscribed ellipse."""
    half = np.maximum((boxes[:, 2:] - boxes[:, :2]) / 2, SMALLEST_HALF_SIDE_PX).astype(np.float32)
    to_centre = (first + 0.5 - (boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
    owners = stacking.owners
    columns = np.arange(stacking.shape[1], dtype=np.float32)
    rows = (np.arange(stacking.shape[0]) - stacking.tops[owners]).astype(np.float32)
    u = (columns + to_centre[:, :1]) / half[:, :1]
    v = (rows + to_centre[owners, 1]) / half[owners, 1]
    radius: NDArray[np.float32] = (v * v)[:, None] + (u * u)[owners]
    np.sqrt(radius, out=radius)
    return radius


def _nearest_radii(
    others: Sequence[NDArray[Any]], first: NDArray[np.intp], stacking: Stacking
) -> dict[int, NDArray[np.float32]]:
    """Return, by crop, the distance to the nearest of the other boxes near it, where there are."""
    owners = np.repeat(np.arange(len(others)), [len(near) for near in others])
    if not len(owners):
        return {}
    pairs = Stacking(stacking.heights[owners], stacking.widths[owners])
    exact = np.concatenate([np.asarray(near, float).reshape(-1, 4) for near in others])
    radii = _elliptical_radii(exact, first[owners], pairs)
    nearest: dict[int, NDArray[np.float32]] = {}
    for owner, place in zip(owners.tolist(), pairs.places, strict=True):
        own = radii[place]
        nearest[owner] = np.minimum(nearest[owner], own) if owner in nearest else own
    return nearest
