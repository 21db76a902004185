"""Channels that the network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.detectors.learning.normalisation import LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.detectors.faster_rcnn.architecture import InputName

__all__ = ["channels_of"]


def channels_of(values: NDArray[np.float32], inputs: InputName) -> NDArray[np.float32]:
    """Return the channels of one normalised frame.

    Parameters
    ----------
    values
        (H, W), within ±4.
    inputs
        ``grey-clahe-blur`` adds the contrast-limited adaptive histogram equalization and the
        Gaussian blur of P3, with the defaults of scikit-image, in the same range.

    Returns
    -------
    (H, W) or (H, W, 3) float32
    """
    if inputs == "grey":
        return values
    from skimage.exposure import equalize_adapthist
    from skimage.filters import gaussian

    equal = equalize_adapthist((values + np.float32(LIMIT)) / np.float32(2 * LIMIT))
    equal = np.asarray(equal, np.float32) * np.float32(2 * LIMIT) - np.float32(LIMIT)
    return np.stack([values, equal, np.asarray(gaussian(values), np.float32)], axis=2)
