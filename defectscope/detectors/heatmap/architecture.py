"""What a network of ``heatmap`` is built from, as its card says; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from defectscope.detectors.learning.detector import enlarged
from defectscope.detectors.learning.levels import Levels
from defectscope.detectors.learning.normalisation import normalised

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Architecture"]


class Architecture(Levels):
    """Levels of the network, number of defect types, and what frames it is given.

    Parameters
    ----------
    channels, blocks
        Of each level, a quarter of the frame first.
    classes
        Number of defect types.
    enlarge
        Frames are enlarged by this before the network sees them.
    """

    channels: tuple[int, ...] = Field((16, 32, 64, 128), min_length=1, max_length=6)
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    classes: int = Field(1, ge=1, le=1000)
    enlarge: float = Field(1.0, ge=0.25, le=8)

    def given(self, pixels: Any, scale: float = 1.0) -> NDArray[np.float32]:
        """Return the normalised grey levels of a frame, enlarged.

        Parameters
        ----------
        pixels
            (H, W) as read.
        scale
            Further enlargement.
        """
        return enlarged(normalised(pixels), self.enlarge * scale)
