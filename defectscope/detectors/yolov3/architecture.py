"""What a network of ``yolov3`` is built from, as its card says; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from defectscope.detectors.learning.detector import enlarged
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["MULTIPLE_PX", "STRIDES", "Architecture", "Channels", "Variant", "grey_levels"]

Variant = Literal["yolov3", "yolov3-spp", "yolov3-tiny"]
Channels = Literal[1, 3]
# Pixels of the input for each cell of the outputs, the finest level first.
STRIDES: dict[Variant, tuple[int, ...]] = {
    "yolov3": (8, 16, 32), "yolov3-spp": (8, 16, 32), "yolov3-tiny": (16, 32),
}  # fmt: skip
# Sides of the input must be multiples of this.
MULTIPLE_PX = 32


class Architecture(BaseModel):
    """What the network is built from, and what it must be given.

    Parameters
    ----------
    variant
        Whose YAML file of ultralytics.
    channels
        Of the first convolution; with three, grey goes into each.
    width
        Factor of the channels of all layers (``width_multiple`` of the YAML file).
    classes
        Number of defect types.
    enlarge
        Frames are enlarged by this before the network sees them.
    levels
        Grey levels it was trained on: ``spread`` (relative to the median, in units of the frame's
        spread) or ``unit`` (0 to 1, as ultralytics itself has it).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Variant = "yolov3"
    channels: Channels = 1
    width: float = Field(1.0, gt=0, le=2)
    classes: int = Field(1, ge=1, le=1000)
    enlarge: float = Field(1.0, ge=0.25, le=8)
    levels: Literal["spread", "unit"] = "spread"

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return MULTIPLE_PX

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, the finest level first."""
        return tuple(f"level_{stride}" for stride in STRIDES[self.variant])

    def given(self, pixels: NDArray[Any], scale: float = 1.0) -> NDArray[np.float32]:
        """Return what the network must be given for a frame, (H, W) float32 at full depth.

        Parameters
        ----------
        pixels
            (H, W) of any dtype.
        scale
            Further enlargement.
        """
        return enlarged(grey_levels(pixels, self.levels), self.enlarge * scale)


def grey_levels(pixels: NDArray[Any], levels: Literal["spread", "unit"]) -> NDArray[np.float32]:
    """Return grey levels as a network wants them.

    ultralytics itself would cut 16-bit images to their high byte, and divide float ones by 255;
    here all bits reach the network.

    Parameters
    ----------
    pixels
        (H, W) of any dtype.
    levels
        As in :class:`Architecture`. With ``unit``, 8-bit frames are divided by 255, others are
        stretched from their least to their largest value.
    """
    if levels == "spread":
        return normalised(pixels)
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.float32) / np.float32(255)
    values = np.asarray(pixels, np.float64)
    fine = np.isfinite(values)
    low, high = (values[fine].min(), values[fine].max()) if fine.any() else (0.0, 0.0)
    values = np.nan_to_num((values - low) / max(high - low, 1e-30), nan=0.5, posinf=1, neginf=0)
    return np.clip(values, 0, 1).astype(np.float32)
