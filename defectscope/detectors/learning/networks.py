"""Networks with the weights of a file in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from defectscope.core.errors import FormatError
from defectscope.core.weights import read_tensors
from defectscope.detectors.learning.cards import read_architecture

if TYPE_CHECKING:
    from defectscope import WeightFiles

__all__ = ["expect_shapes", "with_weights"]

A = TypeVar("A", bound=BaseModel)
N = TypeVar("N", bound=nn.Module)


def expect_shapes(path: Any, tensors: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check that a file holds the tensors that a network needs.

    Raises
    ------
    FormatError
        Names the first tensor that is missing or of another shape.
    """
    for name, value in expected.items():
        if name not in tensors:
            raise FormatError(f"{path} has no tensor {name!r}; it was saved from another network")
        if tuple(tensors[name].shape) != tuple(value.shape):
            raise FormatError(
                f"the tensor {name!r} of {path} must have the shape {tuple(value.shape)}, found "
                f"{tuple(tensors[name].shape)}; its network has another number of classes or "
                "channels than its card says"
            )


def with_weights(files: WeightFiles, architecture: type[A], build: Callable[[A], N]) -> tuple[N, A]:
    """Return the network that a card describes, with its weights in it.

    Parameters
    ----------
    files
        Card and tensors.
    architecture
        Model of what the card says of the network.
    build
        Makes the network of an architecture.

    Raises
    ------
    FormatError
        The card describes no such network, or the file holds another one.
    """
    path = files.checked(".safetensors")
    size = read_architecture(files, architecture)
    network = build(size)
    tensors = read_tensors(path)
    expect_shapes(path, tensors, network.state_dict())
    network.load_state_dict({name: torch.from_numpy(v) for name, v in tensors.items()})
    return network, size
