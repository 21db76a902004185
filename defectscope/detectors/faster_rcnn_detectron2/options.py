"""Options of training ``faster-rcnn-detectron2``."""

from __future__ import annotations

from pydantic import Field

from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.detectors.faster_rcnn_detectron2.architecture import BackboneName

__all__ = ["Detectron2TrainingOptions"]


class Detectron2TrainingOptions(FasterRcnnTrainingOptions):
    """Options of ``train faster-rcnn-detectron2``: those of ``faster-rcnn``."""

    backbone: BackboneName = Field(  # type: ignore[assignment]
        "resnet50-fpn",
        description="what makes features: a ResNet of 18, 50 or 101 layers with a pyramid",
    )
