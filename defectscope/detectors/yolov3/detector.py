"""``yolov3``: P2's detector; ultralytics is needed for training alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from defectscope import WeightFiles
from defectscope.core.errors import FormatError
from defectscope.detectors.learning.boxes import BoxDetector, BoxOptions
from defectscope.detectors.learning.packages import expect_training_packages
from defectscope.detectors.yolov3.architecture import MULTIPLE_PX, STRIDES, Architecture
from defectscope.detectors.yolov3.decoding import decoded
from defectscope.detectors.yolov3.offline import expect_ultralytics
from defectscope.detectors.yolov3.options import YoloTrainingOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from defectscope import TrainingJob
    from defectscope.detectors.learning.suppression import Found
    from defectscope.detectors.yolov3.network import YoloNetwork

__all__ = ["YoloOptions", "YoloV3"]


class YoloOptions(BoxOptions):
    """Options of ``yolov3``."""

    weights: str = Field(
        "yolov3-tiny-loops",
        description="a registered name ('defectscope weights list'), or a .safetensors path",
    )
    overlap: float = Field(
        0.45, gt=0, le=1, description="of two boxes that overlap more (IoU), the better one stays"
    )
    scale: float = Field(
        1.0, ge=0.1, le=8,
        description="frames are enlarged by this first, beside what the weights themselves ask for",
    )  # fmt: skip


class YoloV3(BoxDetector):
    """YOLOv3, YOLOv3-SPP or YOLOv3-tiny of ultralytics (P2: Shen et al.), with an anchor-free head.

    ultralytics' own YAML files of these variants have the anchor-free head of its later networks
    (distances to the sides of the box from each cell), not the anchors of the paper of 2018.
    Training needs ultralytics, which is AGPL-3.0: pip install "defectscope[yolo,torch]". Detection
    with the engines onnx and openvino needs neither it nor torch.
    """

    Options = YoloOptions
    TrainingOptions = YoloTrainingOptions
    options: YoloOptions
    name = "yolov3"
    architecture_type = Architecture
    multiple_px = MULTIPLE_PX

    def decode(self, outputs: list[NDArray[np.float32]]) -> Found:
        """Return the boxes of one frame, px of the input.

        Raises
        ------
        FormatError
            The network has other outputs than its card says.
        """
        strides = STRIDES[self.architecture.variant]
        if len(outputs) != len(strides):
            raise FormatError(
                f"{self.files.onnx} has {len(outputs)} levels of outputs, but its card says "
                f"{self.architecture.variant}, which has {len(strides)}; copy all files of these "
                "weights again"
            )
        return decoded(outputs, strides, self.least_score)

    def load_network(self) -> YoloNetwork:
        """Return the torch module with these weights in it.

        Raises
        ------
        MissingPackageError
            ultralytics is not installed.
        """
        expect_ultralytics("the engine 'torch' of yolov3")
        from defectscope.detectors.learning.networks import with_weights
        from defectscope.detectors.yolov3.network import YoloNetwork

        return with_weights(self.files, Architecture, YoloNetwork)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_ultralytics("training yolov3")
        expect_training_packages()
        from defectscope.detectors.yolov3.training import train

        return train(job, self.runtime)

    @classmethod
    def convert(cls, source: Path, out: Path, defect_types: Sequence[str]) -> WeightFiles:
        """Write weights from a ``.pt`` file of ultralytics, opening known layers alone."""
        expect_ultralytics("converting files of ultralytics")
        expect_training_packages()
        from defectscope.detectors.yolov3.checkpoints import convert

        return convert(source, out, defect_types)
