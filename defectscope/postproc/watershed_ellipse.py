"""Ellipse of each loop or dot: watershed in the enlarged box, then an ellipse fit (P2, P3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from defectscope import Frame, Instances, Mask, Options, PostProcessor
from defectscope.core.geometry.ellipses import ellipse_area, ellipse_points
from defectscope.core.masks import mask_from_polygon, touches_rim
from defectscope.postproc.box_hints import (
    agreeing_with_boxes,
    inscribed_ellipse,
    neighbouring_boxes,
)
from defectscope.postproc.crops import cut_crops
from defectscope.postproc.ellipse_fit import Fit, fit_to_edges, fit_to_moments
from defectscope.postproc.local_contrast import signal_image
from defectscope.postproc.segmentation import Engine, segment
from defectscope.postproc.segmented import Segmented

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WatershedEllipse", "WatershedEllipseOptions"]

Contrast = Literal["dark", "bright", "ring", "bright-ring"]
# What defects of a type look like where the detector says whether they are bright.
BY_BRIGHT: Mapping[tuple[Contrast, float], Contrast] = {
    ("dark", 1): "bright",
    ("ring", 1): "bright-ring",
    ("bright", 0): "dark",
}


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
        "ellipse of the same second moments as the mask (of those that the rim of the frame cuts, "
        "through the edge)",
    )
    contrast: Literal["type", "dark", "bright", "ring", "bright-ring"] = Field(
        "type",
        description="how defects look; type: as the detector's column bright says (1 or 0), else "
        "as the registered defect type",
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
        "around; below it, or where too little of that is seen, the box is taken",
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
        measured_types = {name for name in set(names) if self._is_ellipse(name)}
        chosen = np.array([name in measured_types for name in names], bool)
        found = self._segmented(frame, instances, names, chosen)
        fits = self._fits(found, len(instances), frame.shape)
        failed = chosen & ~agreeing_with_boxes(fits[:, :5], instances.boxes, frame.shape)
        given = instances.masks or (None,) * len(instances)
        masks: list[Mask] = []
        for k, box in enumerate(instances.boxes):
            if failed[k]:
                fits[k, :5] = inscribed_ellipse(box)
                masks.append(mask_from_polygon(ellipse_points(*fits[k, :5]), frame.shape))
            elif k in found:
                masks.append(found[k].mask)
            else:
                masks.append(given[k] or Mask(int(box[0]), int(box[1]), np.zeros((0, 0), bool)))
        measured = _columns(fits, ~failed, masks, frame.shape)
        # What another post-processor found out about lines stays.
        before = {name: instances.measurements.get(name, np.nan) for name in self.columns}
        values = {name: np.where(chosen, column, before[name]) for name, column in measured.items()}
        return replace(
            instances,
            masks=tuple(masks),
            measurements={**instances.measurements, **values},
            units={**instances.units, **self.columns},
        )

    def _is_ellipse(self, name: str) -> bool:
        known = self.runtime.defect_types.get(name)
        return known is None or known.shape in self.shapes

    def _looks(self, instances: Instances, names: Sequence[str]) -> list[Contrast]:
        """Return how each instance looks."""
        if self.options.contrast != "type":
            return [self.options.contrast] * len(names)
        known = self.runtime.defect_types
        looks: list[Contrast] = [known[n].contrast if n in known else "dark" for n in names]
        bright = instances.measurements.get("bright")
        if bright is None:
            return looks
        told = np.asarray(bright, float).tolist()
        return [BY_BRIGHT.get((one, b), one) for one, b in zip(looks, told, strict=True)]

    def _segmented(
        self,
        frame: Frame,
        instances: Instances,
        names: Sequence[str],
        chosen: NDArray[np.bool_],
    ) -> dict[int, Segmented]:
        """Return what was segmented, by its position."""
        options, boxes = self.options, instances.boxes
        looks = self._looks(instances, names)
        neighbours = neighbouring_boxes(boxes, chosen, options.margin)
        found: dict[int, Segmented] = {}
        for bright in (False, True):
            members = [
                k for k in chosen.nonzero()[0].tolist()
                if looks[k].startswith("bright") == bright
            ]  # fmt: skip
            if not members:
                continue
            signal = signal_image(frame.pixels, bright, options.smooth_px)
            others = [boxes[neighbours[k]] for k in members]
            for crops in cut_crops(signal, boxes[members], others, options.margin):
                rings = [looks[members[m]].endswith("ring") for m in crops.members]
                for region in segment(crops, rings, options.engine, options.edge_level):
                    found[members[crops.members[region.crop]]] = Segmented.of(
                        crops, region, frame.shape
                    )
        return found

    def _fits(
        self, found: Mapping[int, Segmented], count: int, shape: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return the (count, 6) ellipses and contrasts; NaN where there is none."""
        fits = np.full((count, 6), np.nan)
        for k, one in found.items():
            fits[k, 5] = one.contrast
        clear = {k: one for k, one in found.items() if self._is_clear(one, shape)}
        # The moments of what the rim left are not those of the whole.
        by_edge = {k: s for k, s in clear.items() if self.options.fit == "edge" or s.at_rim}
        cut = [one.at_rim for one in by_edge.values()]
        edges = fit_to_edges([one.labelled for one in by_edge.values()], cut)
        ellipses = dict(zip(by_edge, edges, strict=True))
        for k, one in clear.items():
            ellipse = ellipses[k] if k in by_edge else fit_to_moments(one.labelled.label)
            if ellipse is not None:
                fits[k, :5] = (ellipse.x + one.x, ellipse.y + one.y, *ellipse[2:])
        return fits

    def _is_clear(self, one: Segmented, shape: tuple[int, int]) -> bool:
        if np.isnan(one.contrast):
            # A crop as large as the frame shows no background to compare with; another one does,
            # unless what was taken for the defect is the background.
            return one.labelled.signal.shape == shape
        return one.contrast >= self.options.min_contrast


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
        "at_rim": np.array([touches_rim(mask, shape) for mask in masks], bool),
    }
