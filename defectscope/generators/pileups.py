"""Pile-ups: dislocations that run from one slip trace to the other (P1, section 2.3, Fig. 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.geometry.angles import undirected_deg
from defectscope.core.geometry.polylines import polyline_resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from defectscope.generators.microstructure import Microstructure

__all__ = ["PileUp", "PileUpRules", "draw_pileup", "slip_axes"]

# Of the jitter of a line's support points, this much is its own; the rest its pile-up shares.
OWN_JITTER = 0.5
# Neighbours in a pile-up bow alike, to this relative spread.
BOW_SPREAD = 0.15


@dataclass(frozen=True)
class PileUpRules:
    """How pile-ups are drawn from a microstructure.

    Parameters
    ----------
    support_points
        Points of each cubic spline.
    jitter
        Standard deviation of the support points along the traces / slip width.
    near_pairs, crossings
        Probability that a line nearly touches, or crosses, the one before it.
    near_gap_px
        Smallest and largest distance of near-touching lines along the traces.
    scale
        Factor on all lengths of the microstructure.
    overhang
        How much of a pile-up's extent may lie outside the frame.
    """

    support_points: int = 5
    jitter: float = 0.03
    near_pairs: float = 0.05
    crossings: float = 0.05
    near_gap_px: tuple[float, float] = (3.0, 7.0)
    scale: float = 1.0
    overhang: float = 0.15


@dataclass(frozen=True)
class PileUp:
    """One pile-up.

    Parameters
    ----------
    direction_deg
        Angle α of the slip traces; not reduced to [0, 180), since that would exchange them.
    slip_width_px
        Their distance Δd.
    start
        Where the first dislocation starts on the first trace, p0 (x, y), px.
    offsets_px
        (n,) where each starts, along the trace from the first.
    neighbours
        How each lies to the one before: ``apart``, ``near`` or ``crossing``.
    support
        (n, m, 2) support points x, y.
    traces
        (2, 2, 2) ends x, y of the two traces.
    """

    direction_deg: float
    slip_width_px: float
    start: NDArray[np.float64]
    offsets_px: NDArray[np.float64]
    neighbours: tuple[str, ...]
    support: NDArray[np.float64]
    traces: NDArray[np.float64]

    def record(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold."""
        return {
            "direction_deg": float(undirected_deg(self.direction_deg)),
            "slip_width_px": self.slip_width_px,
            "start": self.start.tolist(),
            "offsets_px": self.offsets_px.tolist(),
            "neighbours": list(self.neighbours),
            "support_points": self.support.tolist(),
            "traces": self.traces.tolist(),
        }

    def only(self, keep: list[int]) -> PileUp:
        """Return the pile-up with these dislocations alone."""
        # A line is near, or crosses, the one before it only where that is still there.
        neighbours = (self.neighbours[k] if k - 1 in keep else "apart" for k in keep)
        return replace(
            self,
            offsets_px=self.offsets_px[keep],
            neighbours=tuple(neighbours),
            support=self.support[keep],
        )


def slip_axes(direction_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit vectors x, y along the traces, and from the first trace to the second.

    Turned by 180 degrees, both are reversed: the traces are the same, in the other order.
    """
    angle = np.deg2rad(direction_deg)
    # y points down, so that counter-clockwise as seen is a negative rotation here.
    along = np.array([np.cos(angle), -np.sin(angle)])
    return along, np.array([-np.sin(angle), -np.cos(angle)])


def draw_pileup(
    shape: tuple[int, int],
    microstructure: Microstructure,
    rules: PileUpRules,
    line_shapes: Sequence[NDArray[np.float64]],
    rng: np.random.Generator,
) -> PileUp:
    """Draw one pile-up and place it in a frame.

    Parameters
    ----------
    shape
        (height, width) of the frame.
    microstructure, rules
        Where its features come from.
    line_shapes
        (k, 2) labelled lines, points along and across the traces / slip width; where there are
        none, lines have a random curvature.
    """
    count = microstructure.dislocations.sample(rng)
    direction = float(microstructure.direction_deg.sample(rng, 1)[0])
    width = float(microstructure.slip_width_px.sample(rng, 1)[0]) * rules.scale
    along_px, across, neighbours = _lines(count, width, microstructure, rules, line_shapes, rng)
    unit_along, unit_across = slip_axes(direction)
    support = along_px[..., None] * unit_along + (across * width)[..., None] * unit_across

    low, high = support.min(axis=(0, 1)), support.max(axis=(0, 1))
    start = _place(low, high, shape, rules.overhang, rng)
    behind, ahead = rng.uniform([0.2, 0.1], [2.0, 0.8]) * width
    ends = np.array([along_px.min() - behind, along_px.max() + ahead])
    traces = ends[None, :, None] * unit_along + np.array([0, width])[:, None, None] * unit_across
    return PileUp(
        direction, width, start, along_px[:, 0], neighbours, support + start, traces + start
    )


def _lines(
    count: int,
    width: float,
    microstructure: Microstructure,
    rules: PileUpRules,
    line_shapes: Sequence[NDArray[np.float64]],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Return (n, m) support points along (px) and across (0 to 1) the traces, and neighbours."""
    m = rules.support_points
    base, across = _first_line(m, microstructure, line_shapes, rng)
    # The ends stay on the traces; the points between move along and a little across.
    inner = np.ones(m)
    inner[[0, -1]] = 0
    shared = rules.jitter * np.sqrt(1 - OWN_JITTER**2) * rng.standard_normal(m)
    own = rules.jitter * OWN_JITTER * rng.standard_normal((count, m))
    chord = base[0] + (base[-1] - base[0]) * across
    bows = 1 + BOW_SPREAD * rng.standard_normal(count)
    along = chord + (base - chord) * bows[:, None] + (shared + own)
    along = (along - along[:, :1]) * width
    across = across + 0.2 / m * rng.uniform(-1, 1, (count, m)) * inner

    spacing = microstructure.spacing_px.sample(rng, count) * rules.scale
    kinds = rng.random(count)
    near = rng.uniform(*rules.near_gap_px, count)
    offset, neighbours = 0.0, ["apart"]
    for k in range(1, count):
        if kinds[k] < rules.crossings:
            # It starts behind the line before, and ends ahead of it.
            reach = max(0.5 * spacing[k], near[k])
            along[k] = along[k - 1] + reach * (2 * across[k] - 1)
            along[k] += width * own[k] * inner
            offset += reach
            neighbours.append("crossing")
            continue
        touching = kinds[k] < rules.crossings + rules.near_pairs
        offset += near[k] if touching else spacing[k]
        along[k] += offset
        neighbours.append("near" if touching else "apart")
    return along, across, tuple(neighbours)


def _first_line(
    m: int,
    microstructure: Microstructure,
    line_shapes: Sequence[NDArray[np.float64]],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return m points along and across the traces, both / slip width."""
    if line_shapes:
        shape = polyline_resample(line_shapes[int(rng.integers(len(line_shapes)))], m)
        return shape[:, 0] - shape[0, 0], shape[:, 1]
    across = np.linspace(0, 1, m)
    lean = float(microstructure.lean.sample(rng, 1)[0])
    bow = float(microstructure.bow.sample(rng, 1)[0])
    return lean * across + 4 * bow * across * (1 - across), across


def _place(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    shape: tuple[int, int],
    overhang: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the shift that puts a box into the frame; a larger one covers the frame."""
    frame = np.array([shape[1], shape[0]], float)
    size = high - low
    spare = frame - size
    margin = np.where(spare > 0, overhang * size, 0.0)
    first = np.minimum(spare, 0) - margin
    last = np.maximum(spare, 0) + margin
    return np.asarray(rng.uniform(first, last) - low, float)
