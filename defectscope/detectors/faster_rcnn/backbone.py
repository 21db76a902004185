"""Feature maps of torchvision's VGG-16, ResNet-50 and MobileNetV3, with a pyramid on the latter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torchvision import models
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d

if TYPE_CHECKING:
    from defectscope.detectors.faster_rcnn.architecture import Architecture

__all__ = ["MOMENTUM", "Backbone"]

VGG_CHANNELS = 512
# Modules whose outputs go into the pyramid, and their channels.
RESNET_LEVELS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
# Strides 4, 8 and 16. What follows in MobileNetV3 has most of its weights, and stride 32, at which
# defects of 12 to 30 px are less than a cell.
MOBILENET_LEVELS = {"3": 24, "6": 40, "12": 112}
MOBILENET_BLOCKS = 13
# Of the batch normalisation that MobileNetV3's weights of ImageNet were learned with.
MOBILENET_EPS = 1e-3
# torchvision's 0.01 is for long trainings.
MOMENTUM = 0.05


class Backbone(nn.Module):
    """Maps (n, channels, H, W) to feature maps by name, the finest first.

    Parameters
    ----------
    architecture
        Which backbone, and its input; weights are random.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, momentum=MOMENTUM)
        modules, levels = _body(
            architecture.backbone, FrozenBatchNorm2d if architecture.frozen_norm else norm
        )
        self.body = nn.ModuleDict(modules)
        if architecture.channels_in == 1:
            _take_grey(self.body)
        self._levels, self._count = tuple(levels), len(architecture.strides_px)
        self.fpn: nn.Module | None = None
        self.out_channels = VGG_CHANNELS
        if levels:
            self.out_channels = architecture.fpn_channels
            self.fpn = FeaturePyramidNetwork(
                list(levels.values()),
                self.out_channels,
                norm_layer=None if architecture.frozen_norm else nn.BatchNorm2d,
            )

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return as many feature maps as there are strides."""
        x, found = pixels, dict[str, Tensor]()
        for name, module in self.body.items():
            x = module(x)
            if name in self._levels:
                found[str(len(found))] = x
        if self.fpn is None:
            return {"0": x}
        found = self.fpn(found)
        return {name: found[name] for name in list(found)[: self._count]}


def _body(name: str, norm: Any) -> tuple[dict[str, nn.Module], dict[str, int]]:
    """Return the modules of a backbone in order, and the channels of those for a pyramid."""
    if name == "vgg16":
        # Without the last pooling, as usual for Faster R-CNN.
        features = models.vgg16(weights=None, init_weights=True).features[:-1]
        return dict(features.named_children()), {}
    if name == "resnet50-fpn":
        network = models.resnet50(weights=None, norm_layer=norm)
        parts = {n: m for n, m in network.named_children() if n not in ("avgpool", "fc")}
        return parts, RESNET_LEVELS
    if norm is FrozenBatchNorm2d:
        norm = partial(norm, eps=MOBILENET_EPS)
    blocks = models.mobilenet_v3_large(weights=None, norm_layer=norm).features[:MOBILENET_BLOCKS]
    return dict(blocks.named_children()), MOBILENET_LEVELS


def _take_grey(body: nn.ModuleDict) -> None:
    """Let the first convolution have one input channel."""
    parent, name = next(
        (m, n) for m in body.modules() for n, c in m.named_children() if isinstance(c, nn.Conv2d)
    )
    old = parent.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(
        1, old.out_channels, old.kernel_size, old.stride, old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )  # fmt: skip
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    setattr(parent, name, new)
