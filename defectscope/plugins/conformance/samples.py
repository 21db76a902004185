"""Frames and instances that components are tried on; made here, so always at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.calibration import Calibration
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.plugins.conformance.basics import SAMPLE_TYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CALIBRATION",
    "CANVAS_SHAPES",
    "SHAPES",
    "sample_canvas",
    "sample_frame",
    "sample_instances",
]

# (height, width) in px: an everyday one, an odd one, and the smallest that a Frame may have.
SHAPES = ((64, 96), (37, 53), (8, 8))
# What generators draw on: large enough to hold a defect.
CANVAS_SHAPES = ((128, 160), (97, 133))
CALIBRATION = Calibration(
    pixel_size_nm=0.5, frame_interval_s=1.75, dose_start_dpa=0.8, dose_per_frame_dpa=0.001,
    thickness_nm=75, visible_fraction={"*": 0.5},
)  # fmt: skip
TEXTURE_PERIOD_PX = 41.0
DISC_RADIUS_PX = 5.0
SPACING_PX = 24


def sample_canvas(shape: tuple[int, int] = SHAPES[0], seed: int = 0) -> NDArray[np.float32]:
    """Return a background without defects: (H, W) float32 within [0.5, 0.8]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / TEXTURE_PERIOD_PX
    texture = 0.65 + 0.08 * np.sin(6.3 * x + seed) * np.cos(6.3 * y)
    pixels = np.clip(texture + rng.normal(0, 0.01, shape), 0.5, 0.8)
    return np.asarray(pixels, np.float32)


def sample_frame(shape: tuple[int, int] = SHAPES[0], dtype: str = "uint8", seed: int = 0) -> Frame:
    """Return a frame with dark discs and two dark lines; its pixels are read-only."""
    pixels = sample_canvas(shape, seed)
    height, width = shape
    y, x = np.mgrid[:height, :width] + 0.5
    for cx, cy in _disc_centres(shape, seed):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 <= DISC_RADIUS_PX**2] *= 0.5
    pixels[(np.abs(y - _line_y(x)) <= 1) | (np.abs(x - _line_x(width)) <= 1)] *= 0.6
    if dtype != "float32":
        top = np.iinfo(dtype).max
        pixels = np.round(pixels * top).astype(dtype)
    pixels.flags.writeable = False
    return Frame(pixels, 100 + seed, CALIBRATION, f"sample{100 + seed}")


def _disc_centres(shape: tuple[int, int], seed: int) -> list[tuple[float, float]]:
    xs = np.arange(SPACING_PX // 2, max(shape[1] - 4, SPACING_PX // 2 + 1), SPACING_PX)
    ys = np.arange(SPACING_PX // 2 + 6, max(shape[0] - 4, SPACING_PX // 2 + 7), SPACING_PX)
    # They drift with the seed, so that frames of one series differ.
    return [(float(x) + seed % 3, float(y)) for y in ys for x in xs]


def _line_y(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2.5 + 0.1 * x


def _line_x(width: int) -> float:
    return width - 3.5


def sample_instances(
    shape: tuple[int, int], *, masks: bool = True, shapes: tuple[str, ...] = ("ellipse", "line")
) -> Instances:
    """Return what :func:`sample_frame` shows, one box touching the frame's edge included.

    A measurement ``marker`` numbers them, so that each can be recognized again.
    """
    height, width = shape
    rows: list[tuple[float, float, float, float]] = []
    names: list[str] = []
    discs = [("dislocation-loop", centre) for centre in _disc_centres(shape, 0)]
    for name, (cx, cy) in [*discs, ("dislocation-loop", (3.0, float(height)))]:
        x0, y0 = max(cx - 6, 0.0), max(cy - 6, 0.0)
        x1, y1 = min(cx + 6, float(width)), min(cy + 6, float(height))
        if min(x1 - x0, y1 - y0) >= 2:
            rows.append((x0, y0, x1, y1))
            names.append(name)
    # Between the ellipses, so that an order mixed up shows.
    slope = (0.0, 1.0, float(width), min(4 + 0.1 * width, height))
    upright = (width - 6.0, 0.0, width - 1.0, float(height))
    for position, box in ((1, slope), (len(rows) - 1, upright)):
        rows.insert(position, box)
        names.insert(position, "dislocation")
    keep = [SAMPLE_TYPES[name].shape in shapes for name in names]
    boxes = np.array(rows, np.float32)[keep]
    kept = [name for name, wanted in zip(names, keep, strict=True) if wanted]
    return Instances(
        shape,
        boxes,
        np.linspace(0.9, 0.4, len(boxes), dtype=np.float32),
        np.array(kept, dtype=np.str_),
        masks=tuple(map(_mask, boxes, kept)) if masks else None,
        measurements={"marker": np.arange(len(boxes), dtype=float)},
        units={"marker": ""},
    )


def _mask(box: NDArray[np.float32], name: str) -> Mask:
    x0, y0, x1, y1 = np.round(box).astype(int).tolist()
    y, x = np.mgrid[y0:y1, x0:x1] + 0.5
    if name == "dislocation":
        off = x - (x0 + x1) / 2 if y1 - y0 > x1 - x0 else y - _line_y(x)
        return Mask(x0, y0, np.abs(off) <= 1)
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    radii = ((x - cx) / max((x1 - x0) / 2, 1)) ** 2 + ((y - cy) / max((y1 - y0) / 2, 1)) ** 2
    return Mask(x0, y0, radii <= 1)
