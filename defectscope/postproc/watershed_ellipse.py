"""Ellipse of each loop or dot: watershed in the enlarged box, then an ellipse fit (P2, P3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from defectscope import Frame, Instances, Mask, Options, PostProcessor
from defectscope.core.geometry.ellipses import ellipse_area, ellipse_points
from defectscope.core.masks import mask_from_polygon
from defectscope.postproc.box_hints import (
    agreeing_with_boxes,
    inscribed_ellipse,
    neighbouring_boxes,
)
from defectscope.postproc.ellipse_fit import Fit, fit_to_edge, fit_to_moments
from defectscope.postproc.local_contrast import cut_crop, signal_image
from defectscope.postproc.segmentation import Engine, segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WatershedEllipse", "WatershedEllipseOptions"]

# Of the frame's grey values, which go from 0 to 1.
SMALLEST_SPREAD = 1e-6

Contrast = Literal["dark", "bright", "ring", "bright-ring"]


class WatershedEllipseOptions(Options):
    """Options of ``watershed-ellipse``."""

    engine: Engine = Field(
        "skimage",
        description="watershed of scikit-image on the distance transform, or the recipe of "
        "OpenCV's tutorial (P2, P3), which is less accurate on rings",
    )
    fit: Fit = Field(
        "edge",
        description="ellipse through the edge at sub-pixel positions, outliers left out, or "
        "ellipse of the same second moments as the mask",
    )
    contrast: Literal["type", "dark", "bright", "ring", "bright-ring"] = Field(
        "type", description="how defects look; type: as the registered defect type says"
    )
    margin: float = Field(
        0.4, ge=0.1, le=2, description="enlargement of a box on each side, fraction of that side"
    )
    smooth_px: float = Field(
        0.7, ge=0, le=20, description="standard deviation of the smoothing before anything, px"
    )
    edge_level: float = Field(
        0.5,
        ge=0.2,
        le=0.8,
        description="where the edge lies between the background's grey value (0) and the "
        "defect's (1); sizes as experts label them need about 0.6",
    )
    min_contrast: float = Field(
        1.0,
        ge=0,
        le=100,
        description="least contrast for a segmentation, in standard deviations of the texture "
        "around; below it the box is taken",
    )


class WatershedEllipse(PostProcessor):
    """Size, shape and orientation of loops and dots.

    For each box: the enlarged crop without its background's slope, a threshold midway between
    background and defect, an opening, a watershed against the defects of other boxes, and an
    ellipse through the edge. An open ellipse (contrast ``ring``) is first closed by a watershed
    that meets on its crest, and is measured at its outer edge like a filled one.

    Where this fails, the ellipse inscribed in the box is taken, and ``fit`` is 0. Of a defect
    that the rim of the frame cuts, the visible edge is fitted, the mask holds the visible part,
    and ``at_rim`` is 1.

    Notes
    -----
    The edge is at half the contrast, where the edges of the labelled in-situ frames (P2) are
    steepest; experts draw their boxes about a pixel inside it. On those frames boxes that are
    a quarter too large make the ellipses about 12 % larger, because edges there are soft and the
    texture is strong; boxes that are off at random by a tenth of their size leave the median
    size within 2 % on most frames, and always within 7 %.
    """

    Options = WatershedEllipseOptions
    options: WatershedEllipseOptions

    shapes: ClassVar[tuple[str, ...]] = ("ellipse",)
    columns: ClassVar[Mapping[str, str]] = {
        "x": "px",
        "y": "px",
        "major_px": "px",
        "minor_px": "px",
        "angle_deg": "deg",
        "area_px": "px2",
        "contrast": "",
        "fit": "",
        "at_rim": "",
    }

    def process(self, frame: Frame, instances: Instances) -> Instances:
        """Return the instances with masks and the measurements of their ellipses.

        Parameters
        ----------
        frame
            The frame; its pixels stay as they are.
        instances
            Boxes are needed; masks of ellipse-shaped instances are replaced.

        Returns
        -------
        Instances
            All of them, in order. ``contrast`` is in standard deviations of the texture around
            (NaN where nothing stands out); ``fit`` is 1 for a segmented defect and 0 where the
            box was taken; instances of other shapes have NaN everywhere.
        """
        names = [str(name) for name in instances.defect_types]
        chosen = np.array([self._is_ellipse(name) for name in names], bool)
        fits = np.full((len(instances), 6), np.nan)
        masks = list(instances.masks or (_no_mask(box) for box in instances.boxes))
        signals: dict[bool, NDArray[np.float32]] = {}
        neighbours = neighbouring_boxes(instances.boxes, chosen, self.options.margin)
        for k in np.flatnonzero(chosen):
            contrast = self._contrast(names[k])
            bright = contrast.startswith("bright")
            if bright not in signals:
                signals[bright] = signal_image(frame.pixels, bright, self.options.smooth_px)
            others = instances.boxes[neighbours[k]]
            ring = contrast.endswith("ring")
            masks[k], fits[k] = self._segmented(signals[bright], instances.boxes[k], others, ring)
        failed = chosen & ~agreeing_with_boxes(fits[:, :5], instances.boxes, frame.shape)
        for k in np.flatnonzero(failed):
            fits[k, :5] = inscribed_ellipse(instances.boxes[k])
            masks[k] = mask_from_polygon(ellipse_points(*fits[k, :5]), frame.shape)
        measured = _columns(fits, ~failed, masks, frame.shape)
        # What another post-processor found out about lines stays.
        before = {name: instances.measurements.get(name, np.nan) for name in self.columns}
        values = {name: np.where(chosen, column, before[name]) for name, column in measured.items()}
        return replace(instances.with_measurements(values, self.columns), masks=tuple(masks))

    def _is_ellipse(self, name: str) -> bool:
        known = self.runtime.defect_types.get(name)
        return known is None or known.shape in self.shapes

    def _contrast(self, name: str) -> Contrast:
        if self.options.contrast != "type":
            return self.options.contrast
        known = self.runtime.defect_types.get(name)
        return "dark" if known is None else known.contrast

    def _segmented(
        self,
        signal: NDArray[np.float32],
        box: NDArray[np.float32],
        others: NDArray[np.float32],
        ring: bool,
    ) -> tuple[Mask, tuple[float, ...]]:
        """Return mask, ellipse and contrast of one box; NaN where there is none."""
        options, nan = self.options, float("nan")
        crop = cut_crop(signal, box, others, options.margin)
        region = None if crop is None else segment(crop, ring, options.engine, options.edge_level)
        if crop is None or region is None:
            return _no_mask(box), (nan,) * 6
        mask = _cut_out(region.label, crop.x, crop.y)
        contrast = _in_sigmas(region.level, crop.spread)
        if contrast < options.min_contrast:
            return mask, (*(nan,) * 5, contrast)
        if options.fit == "moments":
            ellipse = fit_to_moments(region.label)
        else:
            cut = _touches_rim(mask, (signal.shape[0], signal.shape[1]))
            ellipse = fit_to_edge(crop.signal, region.label, region.threshold, cut)
        if ellipse is None:
            return mask, (*(nan,) * 5, contrast)
        return mask, (ellipse.x + crop.x, ellipse.y + crop.y, *ellipse[2:], contrast)


def _columns(
    fits: NDArray[np.float64],
    segmented: NDArray[np.bool_],
    masks: Sequence[Mask],
    shape: tuple[int, int],
) -> dict[str, NDArray[Any]]:
    x, y, major, minor, angle, contrast = fits.T
    return {
        "x": x,
        "y": y,
        "major_px": major,
        "minor_px": minor,
        "angle_deg": angle,
        "area_px": ellipse_area(major, minor),
        "contrast": contrast,
        "fit": segmented,
        "at_rim": np.array([_touches_rim(mask, shape) for mask in masks], bool),
    }


def _in_sigmas(level: float, spread: float) -> float:
    # NaN stays: a box as large as the frame shows no background. Synthetic ones may be flat.
    return level / (SMALLEST_SPREAD if spread < SMALLEST_SPREAD else spread)


def _touches_rim(mask: Mask, shape: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = mask.box
    return x0 <= 0 or y0 <= 0 or x1 >= shape[1] or y1 >= shape[0]


def _cut_out(label: NDArray[np.bool_], x: int, y: int) -> Mask:
    left, top, width, height = cv2.boundingRect(label.view(np.uint8))
    return Mask(x + left, y + top, label[top : top + height, left : left + width])


def _no_mask(box: Any) -> Mask:
    return Mask(int(box[0]), int(box[1]), np.zeros((0, 0), bool))
