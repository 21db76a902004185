"""Packages that learning and the engine ``torch`` need, asked for before hours are spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from defectscope.core.errors import MissingPackageError

__all__ = ["expect_training_packages", "torch_network"]

TRAINING = ("torch", "lightning", "onnx")


def expect_training_packages(more: Sequence[str] = ()) -> None:
    """Check that what training needs until its end is installed.

    Raises
    ------
    MissingPackageError
        Something is not.
    """
    for package in (*TRAINING, *more):
        if find_spec(package) is None:
            raise MissingPackageError(package, "torch", "training")


def torch_network(load: Callable[[], Any]) -> Any:
    """Return a torch module.

    Raises
    ------
    MissingPackageError
        torch is not installed.
    """
    if find_spec("torch") is None:
        raise MissingPackageError("torch", "torch", "the engine 'torch'")
    return load()
