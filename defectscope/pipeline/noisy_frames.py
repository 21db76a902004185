"""Noise on the frames of a benchmark: how much of F1 is left (P2: Shen et al., YOLOv3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.frames import FrameSelection, FrameSequence
from defectscope.core.grey_range import in_inner_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NOISES", "Noise", "NoisyFrames", "noisy"]

# Levels of each kind, the last one the strongest. P2 gives its own in a supplement; these end with
# the defaults of skimage.util.random_noise, which P2 used (variance 0.01, 5 % of the pixels), and
# with a quarter of the counts that it takes for 8-bit images.
NOISES: Mapping[str, tuple[float, ...]] = {
    "gaussian": (0.025, 0.05, 0.1),
    "salt-and-pepper": (0.01, 0.025, 0.05),
    "poisson": (1024.0, 256.0, 64.0),
}
UNITS: Mapping[str, str] = {
    "gaussian": "standard deviation, in parts of the grey range",
    "salt-and-pepper": "part of the pixels",
    "poisson": "counts in a white pixel",
}
SEED = 20_260


@dataclass(frozen=True)
class Noise:
    """A kind of noise and how much of it.

    Parameters
    ----------
    kind
        One of `NOISES`.
    level
        In the unit of `UNITS`.
    """

    kind: str
    level: float

    def __str__(self) -> str:
        """Return what becomes part of names."""
        return f"{self.kind}-{self.level:g}"


class NoisyFrames(FrameSelection):
    """Frames of another sequence with noise on them; the same noise whenever they are read."""

    def __init__(self, parent: FrameSequence, noise: Noise) -> None:
        super().__init__(parent, range(len(parent)))
        self._noise = noise

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels at a position with noise."""
        return noisy(super().read(position), self._noise, position)

    def __getitem__(self, item: Any) -> Any:
        """Return a frame, or some of them."""
        # Not the parent's frame: its pixels are without noise.
        return FrameSequence.__getitem__(self, item)


def noisy(pixels: NDArray[Any], noise: Noise, seed: int = 0) -> NDArray[Any]:
    """Return an image with noise on it.

    Parameters
    ----------
    pixels
        (H, W) of any type. Grey levels run from 0 to 255 in 8-bit images, and from the darkest to
        the brightest pixel in others, but for broken ones, which are cut.
    noise
        Kind and level.
    seed
        The same number gives the same noise.

    Returns
    -------
    (H, W), 8-bit where the image was, else float32.

    Notes
    -----
    Gaussian noise and salt and pepper are those of :func:`skimage.util.random_noise`; Poisson noise
    has a number of counts of its own, where scikit-image takes the number of grey levels.
    """
    from skimage.util import random_noise

    rng = np.random.default_rng([SEED, list(NOISES).index(noise.kind), seed])
    eight = pixels.dtype == np.uint8
    values, low, high = (pixels, 0.0, 255.0) if eight else in_inner_range(pixels)
    span = max(high - low, float(np.finfo(np.float32).tiny))
    grey = (values.astype(np.float64) - low) / span
    if noise.kind == "gaussian":
        spoilt = random_noise(grey, "gaussian", rng=rng, var=noise.level**2)
    elif noise.kind == "salt-and-pepper":
        spoilt = random_noise(grey, "s&p", rng=rng, amount=noise.level)
    else:
        spoilt = np.clip(rng.poisson(grey * noise.level) / noise.level, 0, 1)
    values = low + span * spoilt
    return np.asarray(np.round(values), np.uint8) if eight else np.asarray(values, np.float32)
