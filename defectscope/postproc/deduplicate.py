"""One instance for each line: empty, tiny and repeated ones are dropped (P1)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from defectscope import Frame, Instances, Mask, Options, PostProcessor
from defectscope.core.defect_types import may_be_line
from defectscope.core.line_masks import mask_of_line, unique_masks

__all__ = ["Deduplicate", "DeduplicateOptions"]


class DeduplicateOptions(Options):
    """Options of ``deduplicate``."""

    dice_loss: float = Field(
        0.5, gt=0, le=1,
        description="two masks with a Dice loss below this are the same line; P1 has 0.5",
    )  # fmt: skip
    least_area_px: int = Field(20, ge=1, le=1_000_000, description="smaller masks are dropped, px²")
    line_width_px: int = Field(
        5, ge=1, le=100,
        description="lines without a mask are compared as if they were this wide, px",
    )  # fmt: skip


class Deduplicate(PostProcessor):
    """Of masks that are the same line, the one with the best score stays; of equals, the larger.

    Networks with a fixed number of masks leave some of them empty, and show some lines twice.
    An instance that has neither mask nor line stays.
    """

    Options = DeduplicateOptions
    options: DeduplicateOptions
    shapes = ("line",)
    drops = True

    def process(self, frame: Frame, instances: Instances) -> Instances:
        """Return the instances that stay, in their order."""
        types, options = self.runtime.defect_types, self.options
        masks, positions = [], []
        for k, name in enumerate(map(str, instances.defect_types)):
            if not may_be_line(name, types):
                continue
            mask = self._mask(instances, k)
            if mask is not None:
                masks.append(mask)
                positions.append(k)
        scores = [float(instances.scores[k]) for k in positions]
        stay = unique_masks(masks, scores, options.least_area_px, options.dice_loss)
        keep = np.ones(len(instances), bool)
        keep[positions] = False
        keep[[positions[k] for k in stay]] = True
        return instances[keep]

    def _mask(self, instances: Instances, k: int) -> Mask | None:
        """Return the mask of an instance, or that of its line; None where it has neither."""
        mask = None if instances.masks is None else instances.masks[k]
        line = None if instances.lines is None else instances.lines[k]
        if line is not None and len(line) and (mask is None or not mask.bitmap.any()):
            return mask_of_line(line, self.options.line_width_px)
        return mask
