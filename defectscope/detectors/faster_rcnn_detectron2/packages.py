"""detectron2, which is in no package registry: whether it is there, and whether it loads."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec

from defectscope.core.errors import DefectscopeError, MissingPackageError

__all__ = ["PAGE", "expect_detectron2"]

PAGE = "https://detectron2.readthedocs.io/en/latest/tutorials/install.html"


def expect_detectron2(purpose: str) -> None:
    """Load detectron2, so that later imports find it.

    Parameters
    ----------
    purpose
        What needs it, as a noun phrase.

    Raises
    ------
    MissingPackageError
        It is not installed.
    DefectscopeError
        It cannot be loaded.
    """
    if find_spec("detectron2") is None:
        raise MissingPackageError("detectron2", "", purpose, page=PAGE)
    try:
        with warnings.catch_warnings():
            # It uses what newer versions of torch advise against.
            warnings.simplefilter("ignore")
            importlib.import_module("detectron2.modeling")
    except Exception as error:
        # Its compiled part fits the torch that it was built with alone, and fails in many ways.
        reason = str(error).strip().partition("\n")[0]
        raise DefectscopeError(
            f"{purpose} needs detectron2, which is installed but cannot be loaded "
            f"({type(error).__name__}: {reason}); build it anew for the torch installed here, see "
            f"{PAGE}"
        ) from error
