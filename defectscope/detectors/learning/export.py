"""The ONNX twin of a trained network."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

__all__ = ["onnx_bytes"]

OPSET = 17


def onnx_bytes(
    module: nn.Module,
    example: Tensor,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]] | None = None,
) -> bytes:
    """Return a network as an ONNX file whose batch, height and width are free.

    Parameters
    ----------
    module
        On the CPU; its input is (n, channels, H, W).
    example
        Any input.
    outputs
        Names of its outputs.
    axes
        Which axes of input and outputs are free, where outputs are no images.
    """
    if axes is None:
        axes = {"pixels": {0: "n", 2: "height", 3: "width"}} | {
            name: {0: "n", 2: f"{name}_height", 3: f"{name}_width"} for name in outputs
        }
    free = {name: dict(places) for name, places in axes.items()}
    target = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter that follows the graph of calls needs further packages and fixes sizes.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            module.eval(),
            (example,),
            target,  # type: ignore[arg-type]
            input_names=["pixels"],
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return target.getvalue()
