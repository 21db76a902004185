"""The network of ``yolov3``: ultralytics' model, without its own decoding of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from defectscope.detectors.yolov3.architecture import Architecture
from defectscope.detectors.yolov3.offline import offline_ultralytics, own_yaml

__all__ = ["YoloNetwork"]


class YoloNetwork(nn.Module):
    """Maps (n, 1, H, W) to one (n, 64 + classes, h, w) map for each level, the finest first.

    Redmon and Farhadi, YOLOv3 (2018), with the anchor-free head that ultralytics gives it: for
    each cell the distances to the four sides as distributions, and the logits of the types.

    Parameters
    ----------
    architecture
        Variant and size; weights are random.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layout = own_yaml(architecture.variant)
        self._backbone = len(layout["backbone"])
        layout |= {"width_multiple": architecture.width, "nc": architecture.classes}
        model = offline_ultralytics().nn.tasks.DetectionModel
        self.net: Any = model(layout, ch=architecture.channels, verbose=False)
        self.architecture = architecture

    @property
    def head(self) -> Any:
        """The last layer, ``Detect``."""
        return self.net.model[-1]

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of all levels."""
        x: Any = pixels
        if self.architecture.channels != 1:
            x = x.expand(-1, self.architecture.channels, -1, -1)
        kept: list[Any] = []
        for layer in self.net.model:
            x = _source(layer.f, x, kept)
            if layer is self.head:
                break
            x = _zero_padded(x, layer.padding) if isinstance(layer, nn.ZeroPad2d) else layer(x)
            kept.append(x if layer.i in self.net.save else None)
        boxes, classes = self.head.cv2, self.head.cv3
        return tuple(
            torch.cat([boxes[k](level), classes[k](level)], dim=1) for k, level in enumerate(x)
        )

    def part(self, name: str) -> list[nn.Module]:
        """Return the modules that a value of the option ``freeze`` keeps as they are."""
        layers = list(self.net.model)
        if name == "backbone":
            return layers[: self._backbone]
        if name == "all-but-head":
            return layers[:-1]
        hidden = [branch[:-1] for branch in (*self.head.cv2, *self.head.cv3)]
        return [*layers[:-1], *hidden]

    def reorder(self, order: Sequence[int]) -> None:
        """Let the classes at these positions be the first, the second, and so on."""
        with torch.no_grad():
            for branch in self.head.cv3:
                for values in (branch[-1].weight, branch[-1].bias):
                    values.copy_(values[list(order)])


def _source(come_from: int | list[int], x: Any, kept: list[Any]) -> Any:
    """Return the input of a layer: the output before it, one further back, or several."""
    if isinstance(come_from, int):
        return x if come_from == -1 else kept[come_from]
    return [x if k == -1 else kept[k] for k in come_from]


def _zero_padded(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Return `x` with zeros to the left, to the right, above and below.

    ONNX Runtime would unite a Pad with the pooling that follows it, and pad with the least number
    there is; negative values at the rim would then differ from torch's and OpenVINO's.
    """
    left, right, top, bottom = padding
    sides = [x[..., :left], x, x[..., :right]]
    x = torch.cat([part if part is x else torch.zeros_like(part) for part in sides], dim=3)
    sides = [x[..., :top, :], x, x[..., :bottom, :]]
    return torch.cat([part if part is x else torch.zeros_like(part) for part in sides], dim=2)
