"""Packages that learning and the engine ``torch`` need, asked for before hours are spent."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from defectscope.core.errors import MissingPackageError

__all__ = ["expect_torch", "expect_training_packages"]

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


def expect_torch() -> None:
    """Check that torch is installed.

    Raises
    ------
    MissingPackageError
        It is not.
    """
    if find_spec("torch") is None:
        raise MissingPackageError("torch", "torch", "the engine 'torch'")
