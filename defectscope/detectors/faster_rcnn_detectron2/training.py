"""Training of detectron2's Faster R-CNN, as that of torchvision's is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from defectscope.detectors.faster_rcnn.training import FACTS as TORCHVISION_FACTS
from defectscope.detectors.faster_rcnn.training import train_network
from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture
from defectscope.detectors.faster_rcnn_detectron2.network import Detectron2Network

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob, WeightFiles

__all__ = ["FACTS", "train"]

# torch alone runs it: how detectron2 chooses proposals cannot be exported with free sizes.
FACTS = replace(TORCHVISION_FACTS, twin=False, packages=("torchvision", "scipy", "detectron2"))


def train(job: TrainingJob, runtime: Runtime, detector: str) -> WeightFiles:
    """Train a network; raises what :func:`train_network` raises."""
    return train_network(job, runtime, detector, Detectron2Architecture, Detectron2Network, FACTS)
