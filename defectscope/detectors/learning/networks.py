"""Networks with the weights of a file in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from defectscope.core.errors import FormatError
from defectscope.core.weights import read_tensors
from defectscope.detectors.learning.cards import read_architecture

if TYPE_CHECKING:
    from defectscope import WeightFiles

__all__ = ["expect_shapes", "load_body", "with_weights"]

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


def load_body(
    body: nn.Module, path: Path, prefix: str, renamed: Callable[[str], str] = str
) -> None:
    """Put weights made for three channels or for one into a backbone.

    What the file has besides, such as the last layers of a classifier, is left out.

    Parameters
    ----------
    body
        The backbone, or the encoder of a U-Net.
    path
        The safetensors file.
    prefix
        What the names of tensors in the file may begin with.
    renamed
        Returns the name in the file, without the prefix, of a tensor of `body`.

    Raises
    ------
    FormatError
        The file holds another backbone.
    """
    own = body.state_dict()
    expected = {renamed(name): value for name, value in own.items()}
    tensors = {
        name.removeprefix(prefix): torch.from_numpy(value)
        for name, value in read_tensors(path).items()
    }
    for name, value in tensors.items():
        if name in expected and value.ndim == 4 and value.shape[1] == 3 != expected[name].shape[1]:
            # Grey goes into all three channels of such a network.
            tensors[name] = value.sum(dim=1, keepdim=True)
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    needed = {name: value for name, value in expected.items() if name not in counters}
    expect_shapes(path, tensors, needed)
    body.load_state_dict({name: tensors.get(renamed(name), value) for name, value in own.items()})
