"""From labelled frames to the batches of one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from defectscope.detectors.learning.augmentation import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from defectscope import Instances, TrainingData
    from defectscope.detectors.learning.options import LearningOptions

__all__ = ["BatchOfCrops"]


@dataclass(frozen=True)
class BatchOfCrops(ABC):
    """Makes batches of crops; called in worker processes.

    Parameters
    ----------
    options
        Size and number of crops, and what they suffer.
    """

    options: Any

    def __call__(
        self, data: TrainingData, numbers: list[int], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return what each crop is made of, stacked, by name."""
        parts: dict[str, list[Any]] = {}
        for number in numbers:
            pixels, truth = data.load(number)
            pixels = self.prepared(pixels)
            for _ in range(self.options.crops_per_frame):
                for name, value in self.crop(pixels, truth, rng).items():
                    parts.setdefault(name, []).append(value)
        return {name: self.joined(name, values) for name, values in parts.items()}

    def joined(self, name: str, values: list[Any]) -> Tensor:
        """Return what all crops have of one name as one tensor."""
        return torch.from_numpy(np.stack(values))

    def prepared(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return a frame as it is prepared when defects are looked for; as it is, here."""
        return pixels

    @property
    def camera(self) -> Camera:
        """How strongly frames are degraded at most."""
        options: LearningOptions = self.options
        return Camera(options.blur_px, options.noise, options.gamma, options.jpeg)

    @abstractmethod
    def crop(self, pixels: Any, truth: Instances, rng: np.random.Generator) -> dict[str, Any]:
        """Return ``pixels`` (channels, H, W) of a crop and what is to be learned of it."""
