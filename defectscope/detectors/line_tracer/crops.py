"""From labelled frames to what one step of ``line-tracer`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from defectscope.core.ignored_regions import ignored_region
from defectscope.detectors.learning.augmentation import degraded
from defectscope.detectors.learning.crops import BatchOfCrops
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.line_tracer.targets import line_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Instances
    from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions

__all__ = ["CropMaker", "LineView", "cropped_lines", "scaled_lines", "turned_lines"]

# Crops tried until one holds a line; frames without any are learned as they are.
TRIES = 4


class LineView(NamedTuple):
    """Pixels (H, W), lines of (k, 2) points, and the frame's rim, all in px of the pixels.

    ``unknown``, if given, is (H, W) and True where nothing is learned.
    """

    pixels: NDArray[np.float32]
    lines: list[NDArray[np.float64]]
    rim: tuple[float, float, float, float]
    unknown: NDArray[np.bool_] | None = None


def scaled_lines(view: LineView, low: float, high: float, rng: np.random.Generator) -> LineView:
    """Return the view enlarged by a random factor between `low` and `high`."""
    factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    height, width = view.pixels.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(view.pixels, size, interpolation=how), np.float32)
    ratio = np.array([size[0] / width, size[1] / height])
    unknown = view.unknown
    if unknown is not None:
        unknown = cv2.resize(unknown.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    rim = (0.0, 0.0, float(size[0]), float(size[1]))
    return LineView(pixels, [line * ratio for line in view.lines], rim, unknown)


def cropped_lines(view: LineView, side_px: int, rng: np.random.Generator) -> LineView:
    """Return a random square crop; smaller views are continued by their edge."""
    pixels, unknown = view.pixels, view.unknown
    short = [max(0, side_px - side) for side in pixels.shape]
    if any(short):
        margins = ((0, short[0]), (0, short[1]))
        pixels = np.pad(pixels, margins, mode="edge")
        unknown = None if unknown is None else np.pad(unknown, margins, mode="edge")
    for _ in range(TRIES):
        y, x = (int(rng.integers(0, side - side_px + 1)) for side in pixels.shape)
        moved = [line - [x, y] for line in view.lines]
        if any(((line > 0) & (line < side_px)).all(axis=1).any() for line in moved):
            break
    x_min, y_min, x_max, y_max = view.rim
    rim = (x_min - x, y_min - y, x_max - x, y_max - y)
    cut = np.s_[y : y + side_px, x : x + side_px]
    return LineView(pixels[cut], moved, rim, None if unknown is None else unknown[cut])


def turned_lines(view: LineView, rng: np.random.Generator) -> LineView:
    """Return one of the eight views by mirrors and right angles."""
    pixels, lines, (x_min, y_min, x_max, y_max), unknown = view
    height, width = pixels.shape
    planes = [pixels] if unknown is None else [pixels, unknown]
    across, down, swapped = rng.random(3) < 0.5
    if across:
        planes, x_min, x_max = [p[:, ::-1] for p in planes], width - x_max, width - x_min
        lines = [np.stack([width - line[:, 0], line[:, 1]], axis=1) for line in lines]
    if down:
        planes, y_min, y_max = [p[::-1] for p in planes], height - y_max, height - y_min
        lines = [np.stack([line[:, 0], height - line[:, 1]], axis=1) for line in lines]
    if swapped:
        planes, x_min, y_min, x_max, y_max = [p.T for p in planes], y_min, x_min, y_max, x_max
        lines = [line[:, ::-1] for line in lines]
    pixels, *others = (np.ascontiguousarray(plane) for plane in planes)
    return LineView(pixels, lines, (x_min, y_min, x_max, y_max), *others)


@dataclass(frozen=True)
class CropMaker(BatchOfCrops):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    """

    options: LineTracerTrainingOptions

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its targets."""
        options = self.options
        # Before the crop is cut: a frame is normalised as a whole when lines are looked for.
        grey = normalised(degraded(pixels, self.camera, rng))
        # Ignored lines come last, to be told apart again.
        order = np.argsort(truth.ignore, kind="stable")
        known = int((~truth.ignore).sum())
        lines = [np.asarray(truth.lines[k], float) for k in order] if truth.lines else []
        height, width = grey.shape
        rim = (0.0, 0.0, float(width), float(height))
        view = LineView(grey, lines, rim, ignored_region(truth))
        if options.scale_low < 1 or options.scale_high > 1:
            view = scaled_lines(view, options.scale_low, options.scale_high, rng)
        view = cropped_lines(view, options.crop_px, rng)
        if options.rotate:
            view = turned_lines(view, rng)
        shape = view.pixels.shape[0], view.pixels.shape[1]
        wanted = line_targets(
            view.lines[:known], shape, options.bins, view.lines[known:], view.rim, view.unknown
        )
        return {"pixels": view.pixels[None], **wanted._asdict()}
