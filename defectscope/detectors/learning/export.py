"""The ONNX twin of a trained network."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.onnx import TrainingMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

__all__ = ["onnx_bytes"]

OPSET = 17
# Smaller tensors are not worth a further node.
LEAST_HALVED = 1024


def onnx_bytes(
    module: nn.Module,
    example: Tensor,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]] | None = None,
    weight_bits: Literal[16, 32] = 32,
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
    weight_bits
        With 16, weights that 16 bits hold exactly are written so, and widened when it is opened.
    """
    if axes is None:
        axes = {"pixels": {0: "n", 2: "height", 3: "width"}} | {
            name: {0: "n", 2: f"{name}_height", 3: f"{name}_width"} for name in outputs
        }
    free = {name: dict(places) for name, places in axes.items()}
    small = weight_bits == 16
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
            # Else convolutions come with their norms multiplied in, which 16 bits do not hold.
            do_constant_folding=not small,
            training=TrainingMode.PRESERVE if small else TrainingMode.EVAL,
        )
    return _halved(target.getvalue()) if small else target.getvalue()


def _halved(content: bytes) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(content)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16) if values.dtype == np.float32 else values
        if values.size < LEAST_HALVED or half is values or not np.array_equal(half, values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_16"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_16"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())
