"""``faster-rcnn``: P3's detector; needs no torch to predict."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from defectscope import Frame, WeightFiles
from defectscope.core.errors import OptionError
from defectscope.detectors.faster_rcnn.architecture import Architecture
from defectscope.detectors.faster_rcnn.decoding import MOST_OVERLAP, decoded
from defectscope.detectors.faster_rcnn.inputs import channels_of
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.detectors.learning.boxes import BoxDetector, BoxOptions
from defectscope.detectors.learning.detector import scaled_input
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.learning.suppression import Found
from defectscope.detectors.learning.tiles import padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob

__all__ = ["FasterRcnn", "FasterRcnnOptions"]


class FasterRcnnOptions(BoxOptions):
    """Options of ``faster-rcnn``."""

    weights: str = Field(
        "faster-rcnn-loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    overlap: float = Field(
        MOST_OVERLAP, gt=0, le=1,
        description="of two boxes that overlap more (IoU), the better one stays",
    )  # fmt: skip
    scale: float = Field(
        1.0, ge=0.1, le=8,
        description="frames are enlarged by this first, so that defects have the sizes that the "
        "weights know; nothing else changes a frame's size",
    )  # fmt: skip


class FasterRcnn(BoxDetector):
    """Faster R-CNN of torchvision (Ren et al., 2015), as P3 (Shen et al.) uses it.

    Backbones are VGG-16 (P3), ResNet-50 and MobileNetV3 with a feature pyramid; anchors come from
    the boxes that it was trained on. A frame may hold any number of defects.
    """

    Options = FasterRcnnOptions
    TrainingOptions = FasterRcnnTrainingOptions
    options: FasterRcnnOptions
    name = "faster-rcnn"
    architecture_type = Architecture

    @cached_property
    def files(self) -> WeightFiles:
        """The weights that the option names."""
        if not self.options.weights:
            raise OptionError(
                f"{self.name} needs weights; train some with 'defectscope train {self.name}', and "
                f"name them with --set {self.name}.weights=FILE.safetensors"
            )
        return super().files

    def network_input(self, frame: Frame) -> NDArray[np.float32]:
        """Return the (channels, H, W) that the network is given for a frame, enlarged."""
        values = channels_of(scaled_input(frame, self.options.scale), self.architecture.inputs)
        return np.ascontiguousarray(np.moveaxis(np.atleast_3d(values), 2, 0))

    def answers(self, inputs: list[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
        """Return the outputs for each of some inputs, one at a time: numbers of boxes differ."""
        return [
            list(self.engine(np.concatenate(
                [padded([plane], self.multiple_px) for plane in planes], axis=1
            )))
            for planes in inputs
        ]  # fmt: skip

    def decode(self, outputs: list[NDArray[np.float32]]) -> Found:
        """Return the boxes of one frame, px of the input."""
        proposals, logits, deltas = outputs
        return decoded(proposals, logits, deltas, self.least_score)

    def load_network(self) -> Any:
        """Return the torch module with these weights in it."""
        from defectscope.detectors.faster_rcnn.network import FasterRcnnNetwork
        from defectscope.detectors.learning.networks import with_weights

        return with_weights(self.files, Architecture, FasterRcnnNetwork)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages(("torchvision",))
        from defectscope.detectors.faster_rcnn.training import train

        return train(job, self.runtime)
