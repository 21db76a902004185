"""Crops of frames with their boxes, for detectors that learn boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.detectors.learning.augmentation import View, cropped, scaled, turned
from defectscope.detectors.learning.calming import calmed
from defectscope.detectors.learning.crops import BatchOfCrops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Instances

__all__ = ["BatchOfBoxCrops", "BoxCrop"]


class BoxCrop(NamedTuple):
    """Pixels (H, W) or (H, W, C), boxes (n, 4) in px, positions of types and what is ignored."""

    pixels: NDArray[np.float32]
    boxes: NDArray[np.float32]
    kinds: NDArray[np.intp]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class BatchOfBoxCrops(BatchOfCrops):
    """Makes batches of crops with boxes; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    defect_types
        Names in the order of the outputs.
    """

    defect_types: tuple[str, ...]

    def prepared(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return a frame without broken pixels and much noise: detection shows no others."""
        return calmed(pixels)

    def cut(self, whole: View, truth: Instances, rng: np.random.Generator) -> BoxCrop:
        """Return a random crop of a frame, enlarged and turned as the options say.

        Parameters
        ----------
        whole
            The frame as the network is given it, and the boxes of `truth` in its px.
        truth
            What they are.
        rng
            Decides about the crop.
        """
        options = self.options
        if options.scale_low < 1 or options.scale_high > 1:
            whole = scaled(whole, options.scale_low, options.scale_high, rng)
        view, inside = cropped(whole, options.crop_px, rng, truth.ignore)
        if options.rotate:
            view = turned(view, rng)
        known = {name: k for k, name in enumerate(self.defect_types)}
        # Ignored ones may be of a type that is not learned.
        kinds = [known.get(str(name), 0) for name in truth.defect_types[inside]]
        return BoxCrop(view.pixels, view.boxes, np.array(kinds, np.intp), truth.ignore[inside])
