"""In-situ sequences of dislocation loops with known growth, motion and identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import Field, model_validator
from scipy.special import erfc

from defectscope import Generator, Instances, Mask, Options
from defectscope.core.geometry.ellipses import ellipse_boxes, ellipse_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["InSituLoops", "InSituLoopsOptions"]

DEFECT_TYPE = "dislocation-loop"
# Smaller major axes leave no trace on a grid of pixels.
PAINTED_FROM_PX = 1.0
UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
         "track_id": ""}  # fmt: skip


class InSituLoopsOptions(Options):
    """Options of ``in-situ-loops``."""

    count: int = Field(
        60, ge=0, le=100_000, description="loops that exist at the end, or in a still image"
    )
    nucleated: float = Field(
        0.5, ge=0, le=1, description="fraction that exists from the start; the rest nucleates"
    )
    smallest_px: float = Field(9.0, gt=0, le=10_000, description="smallest final major axis, px")
    largest_px: float = Field(26.0, gt=0, le=10_000, description="largest final major axis, px")
    aspect_low: float = Field(0.55, gt=0, le=1, description="least minor/major axis")
    edge_px: float = Field(1.3, gt=0, le=20, description="softness of the edge, px")
    depth_low: float = Field(0.22, gt=0, le=1, description="least contrast of a loop, grey 0 to 1")
    depth_high: float = Field(0.5, gt=0, le=1, description="largest contrast of a loop")
    flicker: float = Field(0.08, ge=0, le=1, description="relative change of contrast by frame")
    diffusion_px2_per_frame: float = Field(
        0.02, ge=0, le=100, description="D of every loop's random walk, px² a frame"
    )
    drift_px_per_frame: float = Field(
        0.15, ge=0, le=50, description="speed of the stage, px a frame"
    )
    noise: float = Field(0.02, ge=0, le=1, description="noise of each frame, grey 0 to 1")
    visible_from_px: float = Field(
        7.0,
        ge=0,
        description="loops with a smaller major axis are painted, not labelled; "
        "below 1 px there is nothing to see, and loops are neither",
    )

    @model_validator(mode="after")
    def _low_is_low(self) -> InSituLoopsOptions:
        for low, high in (("smallest_px", "largest_px"), ("depth_low", "depth_high")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not exceed {high}")
        return self


@dataclass
class _Population:
    """Arrays of length n: what is fixed for each loop, and where it is now."""

    birth: NDArray[np.float64]
    final_major: NDArray[np.float64]
    growth_time: NDArray[np.float64]
    aspect: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    depth: NDArray[np.float64]
    position: NDArray[np.float64]

    def major(self, time: float) -> NDArray[np.float64]:
        """Full major axes: growth that slows down, d(t) = d_end·(1 - exp(-(t - birth)/τ))."""
        age = np.clip(time - self.birth, 0, None)
        return np.asarray(self.final_major * -np.expm1(-age / self.growth_time), float)


class InSituLoops(Generator):
    """Dark, soft-edged loops that nucleate, grow and diffuse while the stage drifts."""

    Options = InSituLoopsOptions
    options: InSituLoopsOptions
    defect_types = (DEFECT_TYPE,)

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw the last frame of a sequence of one."""
        (pixels, truth), *_ = self.sequence(canvas, rng, 1)
        canvas[...] = pixels
        return truth

    def sequence(
        self, canvas: NDArray[np.float32], rng: np.random.Generator, length: int
    ) -> Iterator[tuple[NDArray[np.float32], Instances]]:
        """Yield `length` frames of (H, W) float32 in [0, 1] and their truth."""
        options = self.options
        shape = canvas.shape[0], canvas.shape[1]
        loops = self._nucleate(shape, length, rng)
        direction = rng.uniform(0, 2 * np.pi)
        velocity = options.drift_px_per_frame * np.array([np.cos(direction), np.sin(direction)])
        step = np.sqrt(2 * options.diffusion_px2_per_frame)
        for time in range(length):
            offset = velocity * (time - (length - 1) / 2)
            pixels = _shifted(canvas, offset)
            flicker = options.flicker * rng.standard_normal(len(loops.depth))
            depth = loops.depth * np.clip(1 + flicker, 0, None)
            major = loops.major(float(time))
            centres = loops.position + offset
            _paint(pixels, centres, major, loops, depth, options.edge_px)
            pixels += options.noise * rng.standard_normal(shape, dtype=np.float32)
            np.clip(pixels, 0, 1, out=pixels)
            yield pixels, self._truth(shape, centres, major, loops)
            loops.position += step * rng.standard_normal(loops.position.shape)

    def _nucleate(
        self, shape: tuple[int, int], length: int, rng: np.random.Generator
    ) -> _Population:
        options, n = self.options, self.options.count
        # In a still image nothing can nucleate later.
        old = (rng.random(n) < options.nucleated) | (length == 1)
        growth_time = rng.uniform(0.3, 0.8, n) * max(length, 2)
        # Those from before the sequence have grown for one to three growth times already.
        birth = np.where(
            old, -growth_time * rng.uniform(1, 3, n), rng.uniform(0, 0.8, n) * (length - 1)
        )
        spread = options.largest_px - options.smallest_px
        return _Population(
            birth,
            options.smallest_px + spread * rng.beta(1.6, 3.0, n),
            growth_time,
            rng.uniform(options.aspect_low, 1.0, n),
            rng.uniform(0, 180, n),
            rng.uniform(options.depth_low, options.depth_high, n),
            _spread_out(shape, n, 0.6 * (options.smallest_px + options.largest_px), rng),
        )

    def _truth(
        self,
        shape: tuple[int, int],
        centres: NDArray[np.float64],
        major: NDArray[np.float64],
        loops: _Population,
    ) -> Instances:
        minor = major * loops.aspect
        boxes = ellipse_boxes(centres[:, 0], centres[:, 1], major, minor, loops.angle_deg)
        height, width = shape
        inside = np.all((centres > 0) & (centres < [width, height]), axis=1)
        least = max(self.options.visible_from_px, PAINTED_FROM_PX)
        shown = np.flatnonzero(inside & (major >= least))
        columns = {
            "x": centres[:, 0], "y": centres[:, 1], "major_px": major, "minor_px": minor,
            "angle_deg": loops.angle_deg, "track_id": np.arange(len(major)),
        }  # fmt: skip
        masks = tuple(_mask(shape, *(columns[c][k] for c in list(columns)[:5])) for k in shown)
        return Instances(
            shape,
            np.clip(boxes[shown], 0, [width, height, width, height]),
            defect_types=DEFECT_TYPE,
            masks=masks,
            measurements={name: values[shown] for name, values in columns.items()},
            units=UNITS,
        )


def _spread_out(
    shape: tuple[int, int], count: int, distance: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    # Best of several candidates: loops may touch now and then, but do not pile up.
    height, width = shape
    chosen = np.zeros((count, 2))
    for k in range(count):
        candidates = rng.uniform(0, [width, height], (8, 2))
        if k:
            gaps = np.linalg.norm(candidates[:, None] - chosen[None, :k], axis=2).min(axis=1)
            far = np.flatnonzero(gaps > distance)
            chosen[k] = candidates[far[0] if len(far) else int(gaps.argmax())]
        else:
            chosen[k] = candidates[0]
    return chosen


def _shifted(canvas: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    size = canvas.shape[1], canvas.shape[0]
    moved = cv2.warpAffine(
        canvas, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(moved, np.float32).copy()


def _distances(
    place: tuple[slice, slice],
    centre: NDArray[np.float64],
    major: float,
    minor: float,
    angle_deg: float,
) -> NDArray[np.float64]:
    """Return how far the pixel centres of a window lie outside an ellipse (negative: inside)."""
    rows, columns = np.mgrid[place] + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    x, y = centre
    return ellipse_distances(points, x, y, major, minor, angle_deg).reshape(rows.shape)


def _window(
    shape: tuple[int, int], centre: NDArray[np.float64], reach: float
) -> tuple[slice, slice] | None:
    x0, y0 = np.maximum(np.floor(centre - reach), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(centre + reach) + 1, [shape[1], shape[0]]).astype(int)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def _paint(
    pixels: NDArray[np.float32],
    centres: NDArray[np.float64],
    major: NDArray[np.float64],
    loops: _Population,
    depth: NDArray[np.float64],
    edge_px: float,
) -> None:
    for k in np.flatnonzero(major >= PAINTED_FROM_PX):
        place = _window((pixels.shape[0], pixels.shape[1]), centres[k], major[k] / 2 + 4 * edge_px)
        if place is None:
            continue
        minor = major[k] * loops.aspect[k]
        distance = _distances(place, centres[k], major[k], minor, loops.angle_deg[k])
        soft = 0.5 * erfc(distance / (edge_px * np.sqrt(2)))
        pixels[place] -= (depth[k] * soft).astype(np.float32)


def _mask(
    shape: tuple[int, int], x: float, y: float, major: float, minor: float, angle_deg: float
) -> Mask:
    centre = np.array([x, y])
    place = _window(shape, centre, major / 2 + 1)
    if place is None:
        return Mask(0, 0, np.zeros((0, 0), bool))
    inside = _distances(place, centre, major, minor, angle_deg) <= 0
    if not inside.any():
        # Thinner than a pixel, it may pass between all centres; it has a place all the same.
        inside[int(y) - place[0].start, int(x) - place[1].start] = True
    return Mask(place[1].start, place[0].start, inside).trimmed()
