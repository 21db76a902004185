"""How one loop looks: ellipses painted so that the level at their rim is half the contrast.

Every look multiplies a profile across the edge with factors that change slowly along it. The
profile is exactly one half on the ellipse, so that an edge measured at half its contrast lies on
the true ellipse, at sub-pixel accuracy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import erfc

from defectscope import Mask
from defectscope.core.geometry.ellipses import ellipse_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Loop", "painted"]

FILLED = ("black-dot", "filled")
# A Gaussian line falls to one half at this many standard deviations.
HALF_LEVEL = math.sqrt(2 * math.log(2))
# Beyond this many standard deviations an edge is below 1/500 of the contrast.
REACH = 3.0
CIRCLE = np.linspace(0, 2 * math.pi, 32, endpoint=False)
Place = tuple[slice, slice]


class Loop(BaseModel):
    """One loop, and everything that makes its look.

    Parameters
    ----------
    defect_type, look
        What it is, and as which of ``open-ellipse``, ``double-ring``, ``edge-on``, ``black-dot``
        and ``filled`` it is painted.
    x, y, major_px, minor_px, angle_deg
        The ellipse, px and degrees counter-clockwise.
    exponent
        2 is an ellipse; more is a superellipse with the same axes, a bar with blunt ends.
    contrast
        Depth in multiples of the local texture.
    edge_px
        Standard deviation of the soft edge, or of the line of a ring.
    harmonics
        (order, amplitude, phase in rad) of the change of contrast around the loop.
    gap_px, inner
        How far the second ring of a double ring lies inside the first, and its level.
    fill
        Level inside a ring, in parts of its contrast.
    fill_side_deg
        The side on which that is darkest.
    tail
        Level of a grey tail beside a filled loop, below one half.
    tail_deg, tail_px
        Direction and offset of the tail.
    lumps, lump_phase
        Depth and phase of lighter bands across a filled loop.
    fade, fade_deg
        How much of the contrast a filled loop has lost at its far end, and the direction there.
    mottle, rough_px
        Relative variation of the contrast, and of the place of the edge, from place to place;
        both are 0 on average, so that the ellipse stays where it is.
    grain_px, grain_seed
        Size of that variation, and the seed of its noise.
    """

    model_config = ConfigDict(extra="forbid")

    defect_type: str
    look: str
    x: float
    y: float
    major_px: float
    minor_px: float
    angle_deg: float
    contrast: float
    edge_px: float
    harmonics: list[tuple[int, float, float]]
    gap_px: float = 0.0
    inner: float = 0.0
    fill: float = 0.0
    fill_side_deg: float = 0.0
    tail: float = 0.0
    tail_deg: float = 0.0
    tail_px: float = 0.0
    lumps: float = 0.0
    lump_phase: float = 0.0
    fade: float = 0.0
    fade_deg: float = 0.0
    mottle: float = 0.0
    rough_px: float = 0.0
    grain_px: float = 6.0
    grain_seed: int = 0
    exponent: float = 2.0

    def area_px(self) -> float:
        """Return the area of the ellipse, or superellipse, px²."""
        n, both = self.exponent, self.major_px * self.minor_px
        return both * math.gamma(1 + 1 / n) ** 2 / math.gamma(1 + 2 / n)

    def box(self) -> tuple[float, float, float, float]:
        """Return the tight box of the ellipse, or superellipse."""
        if self.exponent != 2:
            a, b = self.major_px / 2, self.minor_px / 2
            cos, sin = (abs(f(math.radians(self.angle_deg))) for f in (math.cos, math.sin))
            # Farthest point in a direction: the norm that is dual to the outline's.
            dual = self.exponent / (self.exponent - 1)
            x = ((a * cos) ** dual + (b * sin) ** dual) ** (1 / dual)
            y = ((a * sin) ** dual + (b * cos) ** dual) ** (1 / dual)
            return self.x - x, self.y - y, self.x + x, self.y + y
        box = ellipse_boxes(self.x, self.y, self.major_px, self.minor_px, self.angle_deg)
        x_min, y_min, x_max, y_max = box[0].tolist()
        return x_min, y_min, x_max, y_max


def _window(shape: tuple[int, int], box: tuple[float, float, float, float], margin: float) -> Place:
    x0, y0 = max(0, math.floor(box[0] - margin)), max(0, math.floor(box[1] - margin))
    x1, y1 = math.ceil(box[2] + margin), math.ceil(box[3] + margin)
    return slice(y0, max(y0, min(y1, shape[0]))), slice(x0, max(x0, min(x1, shape[1])))


class _Local:
    """Pixels of a window as an ellipse sees them: float32 arrays of the window's shape."""

    def __init__(self, loop: Loop, place: Place, x: float, y: float) -> None:
        a, b = np.float32(loop.major_px / 2), np.float32(loop.minor_px / 2)
        cos, sin = (np.float32(f(math.radians(loop.angle_deg))) for f in (math.cos, math.sin))
        rows, columns = place
        # The offsets are exact in float64; only what is small is cut to float32.
        dx = (np.arange(columns.start, columns.stop) + (0.5 - x)).astype(np.float32)[None, :]
        dy = (np.arange(rows.start, rows.stop) + (0.5 - y)).astype(np.float32)[:, None]
        self.p, self.q = (cos * dx - sin * dy) / a, (sin * dx + cos * dy) / b
        self._exponent = np.float32(loop.exponent)
        self.radius = self._norm(self.p, self.q)
        self._a, self._b = a, b
        self._rough: NDArray[np.float32] | None = None

    def _norm(self, p: NDArray[Any], q: NDArray[Any]) -> NDArray[np.float32]:
        if self._exponent == 2:
            return np.asarray(np.sqrt(p**2 + q**2), np.float32)
        # In float64, for processors that compute powers differently.
        n = float(self._exponent)
        sums = np.abs(p.astype(np.float64)) ** n + np.abs(q.astype(np.float64)) ** n
        return np.asarray(sums ** (1 / n), np.float32)

    def roughen(self, noise: NDArray[np.float32], rough_px: float) -> None:
        """Let the edge wander by this many px."""
        self._rough = np.float32(rough_px) * noise

    def distance(self, scale: float = 1.0) -> NDArray[np.float32]:
        """Return the distance from the ellipse scaled by `scale`, px; negative inside.

        To first order the shortest one, which is exact on the ellipse and keeps an edge equally
        wide all around.
        """
        gradient = self._slope()
        # At the centre, where both vanish, any value well inside will do.
        steep = np.maximum(gradient, np.float32(1e-6))
        deep = -min(self._a, self._b) * scale
        distance = np.where(gradient > 1e-6, self.radius * (self.radius - scale) / steep, deep)
        return distance if self._rough is None else distance + self._rough

    def _slope(self) -> NDArray[np.float32]:
        """Return the gradient of the radius, px⁻¹, times the radius."""
        if self._exponent == 2:
            return np.sqrt((self.p / self._a) ** 2 + (self.q / self._b) ** 2)
        n = float(self._exponent)
        across, along = (
            (np.abs(v.astype(np.float64)) ** (n - 1) / axis) ** 2
            for v, axis in ((self.p, self._a), (self.q, self._b))
        )
        radius = np.maximum(self.radius.astype(np.float64), 1e-6)
        return np.asarray(np.sqrt(across + along) / radius ** (n - 2), np.float32)

    def around(self, harmonics: list[tuple[int, float, float]]) -> NDArray[np.float32]:
        """Return the contrast around the loop, at most 1, by the elliptic angle."""
        radius = np.maximum(self.radius, np.float32(1e-6))
        cos, sin = self.p / radius, self.q / radius
        cos_k, sin_k = cos, sin
        level = np.ones_like(radius)
        for order in range(1, max(k for k, _, _ in harmonics) + 1):
            if order > 1:
                cos_k, sin_k = cos_k * cos - sin_k * sin, sin_k * cos + cos_k * sin
            for _, amplitude, phase in (h for h in harmonics if h[0] == order):
                level += np.float32(amplitude * math.cos(phase)) * cos_k
                level += np.float32(amplitude * math.sin(phase)) * sin_k
        waves = [a * np.cos(k * CIRCLE - phase) for k, a, phase in harmonics]
        most = float(np.sum(waves, axis=0).max())
        return np.clip(level * np.float32(1 / (1 + most)), 0.05, 1)


def _soft_step(distance: NDArray[np.float32], edge_px: float) -> NDArray[np.float32]:
    return np.asarray(0.5 * erfc(distance * np.float32(1 / (edge_px * math.sqrt(2)))), np.float32)


def _line(distance: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Return a Gaussian line inside the ellipse whose outer half level lies on the ellipse."""
    t = distance * np.float32(1 / sigma_px) + np.float32(HALF_LEVEL)
    # In float64, for processors that compute exponentials differently.
    return np.exp(-0.5 * t.astype(np.float64) ** 2).astype(np.float32)


def painted(loop: Loop, shape: tuple[int, int]) -> tuple[Place, NDArray[np.float32], Mask]:
    """Return the window of the image that a loop changes, its depth there, and its mask.

    The depth is 0 to 1. The mask is the filled ellipse: where it is not cut by the image's rim,
    the pixels whose centres lie deepest in it, as many as its area, which is so met to half a
    pixel.

    Parameters
    ----------
    loop
        What to paint.
    shape
        (height, width) of the image; the window is empty where the loop lies outside.
    """
    box = loop.box()
    # Two pixels more than the ellipse hold all that belong to its mask.
    margin = max(2.0, REACH * loop.edge_px + (loop.tail_px + 2 * loop.edge_px if loop.tail else 0))
    place = _window(shape, box, margin)
    here = _Local(loop, place, loop.x, loop.y)
    noise = _grain(loop, here.radius.shape)
    if noise is not None and loop.rough_px:
        here.roughen(noise[0], loop.rough_px)
    depth = _filled(here, loop, place) if loop.look in FILLED else _ring(here, loop)
    if loop.harmonics:
        # Towards the centre there is no "around": the change fades there.
        fade = np.minimum(here.radius, 1) ** 2
        depth = depth * (1 + fade * (here.around(loop.harmonics) - 1))
    if noise is not None and loop.mottle:
        depth = np.clip(depth * (1 + np.float32(loop.mottle) * noise[1]), 0, 1)
    whole = box[0] > 2 and box[1] > 2 and box[2] < shape[1] - 2 and box[3] < shape[0] - 2
    limit, radius = 1.0, here.radius
    if whole:
        area = max(1, round(loop.area_px()))
        # What is thinner than a pixel may have its deepest one far beyond its end.
        radius = np.where(_touched(box, place), radius, np.float32(np.inf))
        limit = float(np.partition(radius, area - 1, axis=None)[area - 1])
    mask = Mask(place[1].start, place[0].start, radius <= limit).trimmed()
    return place, depth, mask


def _touched(box: tuple[float, float, float, float], place: Place) -> NDArray[np.bool_]:
    """Return which pixels of a window a box touches."""
    rows, columns = (np.arange(side.start, side.stop) for side in place)
    across = (columns >= math.floor(box[0])) & (columns < math.ceil(box[2]))
    down = (rows >= math.floor(box[1])) & (rows < math.ceil(box[3]))
    return np.asarray(down[:, None] & across)


def _grain(loop: Loop, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Return (2, H, W) smooth noise of mean 0 and standard deviation of about 1, or None."""
    if not (loop.mottle or loop.rough_px) or 0 in shape:
        return None
    rng = np.random.default_rng(loop.grain_seed)
    knots = [max(2, math.ceil(side / loop.grain_px) + 1) for side in shape]
    planes = rng.standard_normal((2, *knots), dtype=np.float32)
    size = shape[1], shape[0]
    # Between knots a cubic is smaller than at them.
    return np.stack([1.3 * cv2.resize(p, size, interpolation=cv2.INTER_CUBIC) for p in planes])


def _filled(here: _Local, loop: Loop, place: Place) -> NDArray[np.float32]:
    depth = _soft_step(here.distance(), loop.edge_px)
    if loop.lumps:
        wave = np.cos(1.4 * math.pi * here.p.astype(np.float64) + loop.lump_phase)
        depth = depth * (1 - loop.lumps / 2 * (1 - wave)).astype(np.float32)
    if loop.fade:
        along = math.radians(loop.fade_deg - loop.angle_deg)
        place_along = here.p * np.float32(math.cos(along)) - here.q * np.float32(math.sin(along))
        depth *= 1 - np.float32(loop.fade / 2) * (1 + np.clip(place_along, -1, 1))
    if loop.tail:
        direction = math.radians(loop.tail_deg)
        x = loop.x + loop.tail_px * math.cos(direction)
        y = loop.y - loop.tail_px * math.sin(direction)
        behind = _Local(loop, place, x, y)
        soft = np.float32(loop.tail) * _soft_step(behind.distance(), 1.6 * loop.edge_px)
        depth = np.maximum(depth, soft)
    return depth


def _ring(here: _Local, loop: Loop) -> NDArray[np.float32]:
    distance = here.distance()
    depth = _line(distance, loop.edge_px)
    if loop.look == "double-ring":
        scale = max(0.2, 1 - 2 * loop.gap_px / loop.minor_px)
        inner = _line(here.distance(scale), 0.8 * loop.edge_px)
        depth = np.maximum(depth, np.float32(loop.inner) * inner)
    inside = _soft_step(distance + np.float32(HALF_LEVEL * loop.edge_px), loop.edge_px)
    if loop.look == "edge-on":
        return np.asarray(np.maximum(depth, np.float32(loop.fill) * inside), np.float32)
    side = math.radians(loop.fill_side_deg - loop.angle_deg)
    shade = here.p * np.float32(math.cos(side)) - here.q * np.float32(math.sin(side))
    level = np.float32(loop.fill / 1.35) * (1 + np.float32(0.35) * np.clip(shade, -1, 1))
    return np.asarray(np.maximum(depth, level * inside), np.float32)
