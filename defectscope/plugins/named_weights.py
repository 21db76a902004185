"""Weights by name, for who holds no list of those that are registered."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core import weights
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from defectscope.core.components import ComponentSpec

__all__ = ["find_weights"]


def find_weights(
    name: str | PathLike[str],
    registered: Mapping[str, ComponentSpec] | None = None,
    *,
    shipped: bool = False,
) -> Path:
    """Return the file of a registered name, or of a path.

    Parameters
    ----------
    name
        A name as ``defectscope weights list`` shows it, or a path.
    registered
        Named weights; those of the installed plugins by default. A component has those that it may
        use as ``runtime.weights``.
    shipped
        Whether the shipped ones are meant where others have that name too.

    Raises
    ------
    UnknownNameError, PluginClashError, FormatError, PluginLoadError
        As :func:`defectscope.core.weights.find_weights` does.
    """
    known = default_host().weights() if registered is None else registered
    return weights.find_weights(name, known, shipped=shipped)
