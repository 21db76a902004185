"""Where loops lie: apart from each other, in touching pairs, and across the image's rim."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LoopPlaces", "place_loops"]

CELL_PX = 3
TRIES = 24
NOBODY = 0
# Points all over a unit disc: what a candidate's place is tried at.
_T = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_RIM = np.stack([np.cos(_T), np.sin(_T)], axis=1)
DISC = np.concatenate([np.zeros((1, 2)), 0.5 * _RIM, _RIM])


class LoopPlaces:
    """A coarse map of who lies where."""

    def __init__(self, shape: tuple[int, int], margin_px: float) -> None:
        self.shape = shape
        # Beyond the rim loops lie too, whose parts reach into the image.
        self.margin = math.ceil(margin_px / CELL_PX)
        rows, columns = (math.ceil(s / CELL_PX) + 2 * self.margin for s in shape)
        self.owner = np.full((rows, columns), NOBODY, np.int32)

    def free(
        self, centres: NDArray[np.float64], axes: NDArray[np.float64], partner: int = NOBODY
    ) -> NDArray[np.bool_]:
        """Whether an ellipse of 2 × 2 matrix `axes` fits at each of (k, 2) centres."""
        points = (DISC @ axes.T)[None] + centres[:, None]
        cells = np.floor(points / CELL_PX).astype(np.int64) + self.margin
        limits = [self.owner.shape[1] - 1, self.owner.shape[0] - 1]
        cells = np.clip(cells, 0, limits)
        owners = self.owner[cells[..., 1], cells[..., 0]]
        return np.asarray(((owners == NOBODY) | (owners == partner)).all(axis=1))

    def take(self, centre: NDArray[np.float64], axes: NDArray[np.float64], owner: int) -> None:
        """Mark the cells of an ellipse."""
        (a, b), (c, d) = axes.tolist()
        x, y = centre.tolist()
        reach_x, reach_y, determinant = math.hypot(a, b), math.hypot(c, d), a * d - b * c
        x0, y0 = (self._cell(v) for v in (x - reach_x, y - reach_y))
        x1, y1 = (self._cell(v) + 1 for v in (x + reach_x, y + reach_y))
        place = self.owner[y0:y1, x0:x1]
        dx = (np.arange(x0, x0 + place.shape[1]) + (0.5 - self.margin)) * CELL_PX - x
        dy = ((np.arange(y0, y0 + place.shape[0]) + (0.5 - self.margin)) * CELL_PX - y)[:, None]
        inside = (d * dx - b * dy) ** 2 + (a * dy - c * dx) ** 2 <= determinant**2
        place[inside] = owner
        # The smallest may pass between all centres of cells; they have a place all the same.
        self.owner[self._cell(y) : self._cell(y) + 1, self._cell(x) : self._cell(x) + 1] = owner

    def _cell(self, coordinate: float) -> int:
        return max(0, math.floor(coordinate / CELL_PX) + self.margin)


def _axes_matrices(
    major: NDArray[np.float64], minor: NDArray[np.float64], angle_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, 2, 2) matrices that make ellipses of the unit disc; y points down."""
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    a, b = major / 2, minor / 2
    return np.stack([np.stack([a * cos, b * sin], -1), np.stack([-a * sin, b * cos], -1)], -2)


def _radius(axes: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far an ellipse reaches from its centre in (k, 2) unit directions."""
    return np.asarray(1 / np.linalg.norm(directions @ np.linalg.inv(axes).T, axis=1))


def place_loops(
    shape: tuple[int, int],
    ellipses: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    outside: NDArray[np.bool_],
    touching: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return (n, 2) centres x, y; NaN for those for which no room was left.

    Parameters
    ----------
    shape
        (height, width) of the image.
    ellipses
        (n,) major and minor axes in px and angles in degrees.
    outside
        Those whose centre lies beyond the rim, but that reach into the image.
    touching
        Those that touch another one, where there is one inside and room.
    rng
        Source of the places.
    """
    major = ellipses[0]
    axes = _axes_matrices(*ellipses)
    # However large the loops are, the map need not be larger than nine images.
    places = LoopPlaces(shape, min(float(major.max(initial=0.0)), float(max(shape))))
    centres = np.full((len(major), 2), np.nan)
    placed: list[int] = []
    # The largest first: the others find the gaps.
    for k in np.argsort(-major, kind="stable"):
        tries, partner = np.zeros((0, 2)), NOBODY
        if touching[k] and placed and not outside[k]:
            mate = placed[int(rng.integers(len(placed)))]
            tries, partner = _beside(centres[mate], axes[mate], axes[k], rng), mate + 1
            tries = tries[_within(tries, shape)]
        chosen = _first_free(places, tries, axes[k], partner)
        if chosen is None:
            tries = _anywhere(shape, axes[k], bool(outside[k]), rng)
            chosen = _first_free(places, tries, axes[k], NOBODY)
        if chosen is not None:
            centres[k] = chosen
            places.take(chosen, axes[k], int(k) + 1)
            if not outside[k]:
                placed.append(int(k))
    return centres


def _first_free(
    places: LoopPlaces, tries: NDArray[np.float64], axes: NDArray[np.float64], partner: int
) -> NDArray[np.float64] | None:
    # Most often one of the first will do.
    for some in (tries[:3], tries[3:]):
        good = places.free(some, axes, partner)
        if good.any():
            return np.asarray(some[int(good.argmax())])
    return None


def _within(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((points > 0) & (points < [shape[1], shape[0]])).all(axis=1))


def _beside(
    centre: NDArray[np.float64],
    mate: NDArray[np.float64],
    own: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi, TRIES)
    directions = np.stack([np.cos(angle), np.sin(angle)], 1)
    gap = (_radius(mate, directions) + _radius(own, directions)) * rng.uniform(0.95, 1.08, TRIES)
    return np.asarray(centre + directions * gap[:, None])


def _anywhere(
    shape: tuple[int, int], axes: NDArray[np.float64], outside: bool, rng: np.random.Generator
) -> NDArray[np.float64]:
    size = np.array([shape[1], shape[0]], float)
    if not outside:
        return np.asarray(rng.uniform(0, 1, (TRIES, 2)) * size)
    # On one of the four sides, so near that the loop is cut by it.
    reach = np.hypot(axes[:, 0], axes[:, 1])
    points = rng.uniform(0, 1, (TRIES, 2)) * size
    side, depth = rng.integers(4, size=TRIES), rng.uniform(0.1, 0.9, TRIES)
    along = side // 2
    beyond = depth * reach[along]
    points[np.arange(TRIES), along] = np.where(side % 2, size[along] + beyond, -beyond)
    return np.asarray(points, float)
