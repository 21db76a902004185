"""From labelled frames to what one step of ``unetpp`` learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.core.geometry.skeletons import mask_course
from defectscope.core.ignored_regions import mask_of_box
from defectscope.core.line_masks import mask_of_line
from defectscope.detectors.learning.augmentation import degraded
from defectscope.detectors.learning.crops import BatchOfCrops
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Instances, Mask
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["CropMaker", "true_courses", "true_masks"]


def true_masks(truth: Instances, line_width_px: int, ignored: bool = False) -> list[Mask]:
    """Return the masks of a truth; lines are drawn where it has none.

    Parameters
    ----------
    truth
        Labels of a frame.
    line_width_px
        Width of what is drawn.
    ignored
        Whether to return those that are to be ignored, or all others; of those, a box alone is
        ignored as a whole.
    """
    found = []
    for k in np.flatnonzero(truth.ignore == ignored):
        mask = None if truth.masks is None else truth.masks[k]
        if (mask is None or not mask.bitmap.any()) and truth.lines is not None:
            mask = mask_of_line(truth.lines[k], line_width_px)
        if ignored and (mask is None or not mask.bitmap.any()):
            mask = mask_of_box(truth.boxes[k])
        if mask is not None and mask.bitmap.any():
            found.append(mask)
    return found


def true_courses(truth: Instances, ignored: bool = False) -> list[NDArray[np.float64]]:
    """Return the centre lines of a truth; those of its masks where it has no lines.

    Parameters
    ----------
    truth
        Labels of a frame.
    ignored
        Whether to return those that are to be ignored, or all others.
    """
    found = []
    for k in np.flatnonzero(truth.ignore == ignored):
        line = np.zeros((0, 2)) if truth.lines is None else truth.lines[k]
        if len(line) < 2 and truth.masks is not None:
            line = mask_course(truth.masks[k])
        if len(line) > 1:
            found.append(line)
    return found


@dataclass(frozen=True)
class CropMaker(BatchOfCrops):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    """

    options: UnetppTrainingOptions

    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return the pixels of a crop and its targets.

        ``counted`` is 0 where lines are that are to be ignored, and no others.
        """
        options = self.options
        values: NDArray[np.float32] = degraded(pixels, self.camera, rng)
        if rng.random() < options.equalize:
            grey = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
            values = cv2.equalizeHist(grey).astype(np.float32) / np.float32(255)
        level, masks = normalised(values), true_masks(truth, options.line_width_px)
        known = len(masks)
        masks += true_masks(truth, options.line_width_px, ignored=True)
        factor = float(np.exp(rng.uniform(np.log(options.scale_low), np.log(options.scale_high))))
        if factor != 1:
            level, masks = _scaled(level, masks, factor)
        side = options.crop_px
        short = [max(0, side - length) for length in level.shape]
        if any(short):
            level = np.pad(level, ((0, short[0]), (0, short[1])), mode="edge")
        y, x = (int(rng.integers(0, length - side + 1)) for length in level.shape)
        masks = [mask.moved(-x, -y) for mask in masks]
        seen = self._seen(masks[:known])
        planes = [mask.to_dense((side, side)).astype(np.uint8) for mask in seen]
        planes.append(_counted(masks[:known], masks[known:], (side, side)))
        crop, stack = level[y : y + side, x : x + side], np.stack(planes)
        if options.rotate:
            crop, stack = _turned(crop, stack, rng)
        every = np.zeros((options.masks, side, side), np.uint8)
        every[: len(seen)] = stack[:-1]
        return {"pixels": crop[None].copy(), "masks": every, "counted": stack[-1:].copy(),
                "real": np.arange(options.masks) < len(seen)}  # fmt: skip

    def _seen(self, masks: list[Mask]) -> list[Mask]:
        """Return at most as many masks as there are outputs: the largest in the crop."""
        options = self.options
        shape = options.crop_px, options.crop_px
        seen = [mask.clipped(shape) for mask in masks]
        seen = [mask for mask in seen if mask.area_px >= options.least_area_px]
        if len(seen) > options.masks:
            order = np.argsort([-mask.area_px for mask in seen], kind="stable")[: options.masks]
            seen = [seen[k] for k in np.sort(order)]
        return seen


def _counted(known: list[Mask], ignored: list[Mask], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the (H, W) pixels that count: 0 on ignored masks beside all others."""
    counted = np.ones(shape, np.uint8)
    for masks, value in ((ignored, 0), (known if ignored else [], 1)):
        for mask in masks:
            counted[mask.to_dense(shape)] = value
    return counted


def _scaled(
    grey: NDArray[np.float32], masks: list[Mask], factor: float
) -> tuple[NDArray[np.float32], list[Mask]]:
    from defectscope import Mask

    height, width = grey.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(grey, size, interpolation=how), np.float32)
    dense = [mask.to_dense((height, width)).astype(np.float32) for mask in masks]
    enlarged = [np.asarray(cv2.resize(d, size, interpolation=cv2.INTER_AREA)) for d in dense]
    return resized, [Mask.from_dense(d >= 0.5) for d in enlarged]


def _turned(
    crop: NDArray[np.float32], stack: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    across, down, swapped = rng.random(3) < 0.5
    if across:
        crop, stack = crop[:, ::-1], stack[:, :, ::-1]
    if down:
        crop, stack = crop[::-1], stack[:, ::-1]
    if swapped:
        crop, stack = crop.T, stack.transpose(0, 2, 1)
    return crop, stack
