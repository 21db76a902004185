"""Options of training ``faster-rcnn`` and ``faster-rcnn-detectron2``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from defectscope.core.options import set_in_vain
from defectscope.detectors.faster_rcnn.architecture import BackboneName, InputName
from defectscope.detectors.learning.options import LearningOptions

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FasterRcnnTrainingOptions"]


class FasterRcnnTrainingOptions(LearningOptions):
    """Options of ``train faster-rcnn``; P3's are vgg16, three channels, and SGD."""

    backbone: BackboneName = Field(
        "mobilenet-v3-fpn",
        description="what makes features: vgg16 (P3), resnet50-fpn, or mobilenet-v3-fpn for small "
        "machines",
    )
    backbone_weights: Path | None = Field(
        None,
        description=".safetensors file of the backbone's weights in torchvision's names, such as "
        "ImageNet's, to start from; their batch normalisation is then kept",
    )
    inputs: InputName = Field(
        "grey",
        description="one channel, or P3's three: grey, CLAHE and Gaussian blur as scikit-image's "
        "defaults make them",
    )
    anchors_per_level: int = Field(
        3, ge=1, le=64,
        description="anchors of each feature map, by k-means of the sizes of training boxes",
    )  # fmt: skip
    anchor_frames: int = Field(
        32,
        ge=1,
        le=10_000,
        description="training frames whose boxes the anchors are made of: of a dataset labelled "
        "ones all over it, of a recipe the first",
    )
    fpn_channels: int = Field(64, ge=8, le=1024, description="channels of the feature pyramid")
    head_channels: int = Field(
        256, ge=8, le=8192,
        description="channels of the two layers that look at each proposal, most of a network's "
        "size; torchvision has 1024",
    )  # fmt: skip
    proposals_per_mpx: int = Field(
        1200, ge=10, le=100_000,
        description="proposals that are looked at, for every 10⁶ px²; at least 128 a frame",
    )  # fmt: skip
    proposals_per_crop: int = Field(
        96, ge=8, le=4096, description="proposals of each crop that are learned from"
    )
    optimiser: Literal["adamw", "sgd"] = Field(
        "adamw",
        description="adamw with a cosine fall of the learning rate, or sgd with steps (P3)",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    decay_every: int = Field(
        20_000, ge=1, description="steps after which sgd's learning rate falls to a tenth"
    )
    freeze: Literal["none", "backbone", "all-but-head"] = Field(  # type: ignore[assignment]
        "none", description="what keeps the weights of --init, or of backbone_weights"
    )
    crops_per_frame: int = Field(2, ge=1, le=64, description="crops of each frame that is loaded")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="largest learning rate")

    @model_validator(mode="after")
    def _sgd_is_chosen(self) -> Self:
        name = set_in_vain(self, "momentum", "decay_every")
        if self.optimiser != "sgd" and name:
            raise ValueError(f"{name} is of sgd alone; set optimiser to sgd, or leave it out")
        return self
