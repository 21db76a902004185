"""Recipes and options of training that come with weights, found by the name of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.errors import DefectscopeError
from defectscope.core.weights import registered_file

if TYPE_CHECKING:
    from defectscope.core.components import ComponentSpec

__all__ = ["RECIPES", "shipped_recipe"]

# The folder beside a file of weights, of any plugin, in which what they were made by lies.
RECIPES = "recipes"


def shipped_recipe(path: Path, registered: Mapping[str, ComponentSpec]) -> Path:
    """Return a file as given, or that of this name beside registered weights.

    Parameters
    ----------
    path
        What the user wrote: whatever exists, and whatever names a folder, is meant as it stands.
    registered
        Named weights of the installed plugins.
    """
    if path.exists() or path.name != str(path) or path.suffix != ".toml":
        return path
    for spec in registered.values():
        try:
            found = registered_file(spec).parent / RECIPES / path.name
        except DefectscopeError:
            continue  # Weights of a plugin that cannot be used have no recipe to offer.
        if found.is_file():
            return found
    return path
