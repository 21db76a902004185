"""Torch checkpoints of others, opened without running their code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import FormatError, InputError, MissingPackageError
from defectscope.core.torch_errors import what_was_refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_checkpoint"]

# Where the usual training programs keep the model, the averaged one first.
PLACES = ("state_dict", "model_state_dict", "ema", "model", "module", "net")


def read_checkpoint(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of a ``.pt`` or ``.ckpt`` file by name.

    Raises
    ------
    MissingPackageError
        torch is not installed.
    InputError
        There is no such file.
    FormatError
        It is no checkpoint, holds more than plain values, or no tensors.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("torch", "torch", "'weights convert'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of old pickles is no user's concern
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise FormatError(
            f"{path} is damaged, no torch checkpoint, or holds code that would have to run "
            f"({what_was_refused(error)}); save its state_dict alone where it was made, "
            "and convert that; files of ultralytics: --detector yolov3"
        ) from error
    tensors = _tensors(content)
    if not tensors:
        raise FormatError(f"{path} holds no tensors by name; save the state_dict of the model")
    return {name: _plain(value) for name, value in tensors.items()}


def _tensors(content: Any) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        return {}
    for place in PLACES:
        if isinstance(content.get(place), Mapping):
            return _tensors(content[place])
    return {str(name): value for name, value in content.items() if hasattr(value, "detach")}


def _plain(value: Any) -> NDArray[np.generic]:
    value = value.detach().cpu().contiguous()
    # NumPy has no bfloat16.
    array: NDArray[np.generic] = (
        value.float() if "bfloat16" in str(value.dtype) else value
    ).numpy()
    return array
