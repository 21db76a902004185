"""``faster-rcnn-detectron2``: P3's detector on detectron2, where a user has it."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from defectscope.core.errors import DefectscopeError, MissingPackageError
from defectscope.detectors.faster_rcnn.detector import FasterRcnn, FasterRcnnOptions
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.detectors.faster_rcnn_detectron2.architecture import (
    BackboneName,
    Detectron2Architecture,
)
from defectscope.detectors.learning.packages import expect_training_packages

if TYPE_CHECKING:
    from defectscope import TrainingJob, WeightFiles

__all__ = [
    "PAGE",
    "Detectron2TrainingOptions",
    "FasterRcnnDetectron2",
    "FasterRcnnDetectron2Options",
    "expect_detectron2",
]

PAGE = "https://detectron2.readthedocs.io/en/latest/tutorials/install.html"


class FasterRcnnDetectron2Options(FasterRcnnOptions):
    """Options of ``faster-rcnn-detectron2``."""

    weights: str = Field(
        "",
        description="a registered name ('defectscope weights list'), or a .safetensors path, which "
        "must be given: none is shipped",
    )
    engine: Literal["torch"] = Field(
        "torch", description="what computes: torch alone, as there is no ONNX twin"
    )


class Detectron2TrainingOptions(FasterRcnnTrainingOptions):
    """Options of ``train faster-rcnn-detectron2``: those of ``faster-rcnn``."""

    backbone: BackboneName = Field(  # type: ignore[assignment]
        "resnet50-fpn",
        description="what makes features: a ResNet of 18, 50 or 101 layers with a pyramid",
    )


class FasterRcnnDetectron2(FasterRcnn):
    """Faster R-CNN of detectron2 (Ren et al., 2015), as P3 (Shen et al.) uses the detector.

    It needs detectron2, which is in no package registry:
    https://detectron2.readthedocs.io/en/latest/tutorials/install.html says how to install it.
    Backbones are ResNets with a feature pyramid; anchors come from the boxes that it was trained
    on. A frame may hold any number of defects.
    """

    Options = FasterRcnnDetectron2Options
    TrainingOptions = Detectron2TrainingOptions
    options: FasterRcnnDetectron2Options
    name = "faster-rcnn-detectron2"
    architecture_type = Detectron2Architecture

    def load_network(self) -> Any:
        """Return the torch module with these weights in it."""
        expect_detectron2(f"the detector {self.name}")
        from defectscope.detectors.faster_rcnn_detectron2.network import Detectron2Network
        from defectscope.detectors.learning.networks import with_weights

        return with_weights(self.files, Detectron2Architecture, Detectron2Network)[0]

    def train(self, job: TrainingJob) -> WeightFiles:
        """Train on `job`'s data with Lightning."""
        expect_training_packages(("torchvision",))
        expect_detectron2(f"training {self.name}")
        from defectscope.detectors.faster_rcnn_detectron2.training import train

        return train(job, self.runtime, self.name)


def expect_detectron2(purpose: str) -> None:
    """Load detectron2, so that later imports find it.

    Parameters
    ----------
    purpose
        What needs it, as a noun phrase.

    Raises
    ------
    MissingPackageError
        It is not installed.
    DefectscopeError
        It cannot be loaded.
    """
    if find_spec("detectron2") is None:
        raise MissingPackageError("detectron2", "", purpose, page=PAGE)
    try:
        with warnings.catch_warnings():
            # It uses what newer versions of torch advise against.
            warnings.simplefilter("ignore")
            importlib.import_module("detectron2.modeling")
    except Exception as error:
        # Its compiled part fits the torch that it was built with alone, and fails in many ways.
        reason = str(error).strip().partition("\n")[0]
        raise DefectscopeError(
            f"{purpose} needs detectron2, which is installed but cannot be loaded "
            f"({type(error).__name__}: {reason}); build it anew for the torch installed here, see "
            f"{PAGE}"
        ) from error
