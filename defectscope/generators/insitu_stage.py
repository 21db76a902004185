"""Stage and camera of an in-situ experiment: where the specimen lies, and the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.insitu_options import InSituLoopsOptions

__all__ = ["Stage", "grain", "move_stage", "shifted"]

# Interpolation by the polynomial of degree 5 through the pixels at these places: unlike shorter
# or windowed kernels it keeps gradients where they are and hardly blurs, so that a background
# moves as far as the loops on it, and looks the same at every fraction of a pixel.
NODES = np.arange(-3, 3)
# A narrower filter leaves noise as it is.
LEAST_SIGMA_PX = 0.15


@dataclass(frozen=True)
class Stage:
    """Positions of the stage, a row a frame.

    Parameters
    ----------
    offsets
        (length, 2) x, y by which the specimen is shifted in each frame, px.
    jumps
        (length, 2) the part of the shift that came at once since the frame before, px.
    velocity
        (2,) of the steady drift, px a frame.
    """

    offsets: NDArray[np.float64]
    jumps: NDArray[np.float64]
    velocity: NDArray[np.float64]

    def field(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return two corners x, y of the part of the specimen that (height, width) frames show."""
        size = np.array([shape[1], shape[0]], float)
        low = -self.offsets.max(axis=0, initial=0)
        return low, size - self.offsets.min(axis=0, initial=0)

    def events(self) -> list[dict[str, Any]]:
        """Return an entry for each jump: ``frame``, ``kind``, ``track_ids``, ``moved_px``."""
        return [
            {"frame": int(k), "kind": "jump", "track_ids": [], "moved_px": self.jumps[k].tolist()}
            for k in np.flatnonzero(self.jumps.any(axis=1))
        ]


def move_stage(options: InSituLoopsOptions, length: int, rng: np.random.Generator) -> Stage:
    """Draw the drift and the jumps of a sequence; the canvas lies still half-way without jumps."""
    direction = rng.uniform(0, 2 * np.pi)
    velocity = options.drift_px_per_frame * np.array([np.cos(direction), np.sin(direction)])
    # Nothing comes before the first frame.
    jumping = (rng.random(length) < options.jump_probability) & (np.arange(length) > 0)
    angle = rng.uniform(0, 2 * np.pi, length)
    size = rng.uniform(options.jump_low_px, options.jump_high_px, length) * jumping
    jumps = size[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    steady = velocity * (np.arange(length) - (length - 1) / 2)[:, None]
    return Stage(steady + np.cumsum(jumps, axis=0), jumps, velocity)


def shifted(canvas: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a canvas (H, W) shifted by x, y px; it goes on mirrored beyond its rim."""
    whole = np.floor(offset).astype(int)
    # A few pixels more on each side, for the kernel to reach into.
    reach = len(NODES) // 2
    rows, columns = (
        _mirrored(np.arange(-reach, side + reach) - step, side)
        for side, step in zip(canvas.shape, whole[::-1], strict=True)
    )
    wide = canvas[np.ix_(rows, columns)].astype(np.float64)
    x, y = (_weights(part) for part in offset - whole)
    moved = cv2.sepFilter2D(wide, cv2.CV_64F, x, y, anchor=(reach, reach))
    return np.ascontiguousarray(moved[reach:-reach, reach:-reach])


def _mirrored(places: NDArray[np.int_], side: int) -> NDArray[np.int_]:
    around = places % (2 * side)
    return np.where(around < side, around, 2 * side - 1 - around)


def _weights(fraction: float) -> NDArray[np.float64]:
    """Return Lagrange's weights of the `NODES` for the value at minus `fraction`."""
    weights = np.ones(len(NODES))
    for position, node in enumerate(NODES):
        others = np.delete(NODES, position)
        weights[position] = np.prod((-fraction - others) / (node - others))
    return weights


def grain(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (H, W) noise of unit variance, smoothed by a Gaussian filter of `sigma_px`."""
    noise = rng.standard_normal(shape, dtype=np.float32).astype(np.float64)
    if sigma_px < LEAST_SIGMA_PX:
        return noise
    reach = math.ceil(4 * sigma_px)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    # So that the variance stays what it was.
    kernel /= math.sqrt(float((kernel**2).sum()))
    smooth = cv2.sepFilter2D(noise, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth)
