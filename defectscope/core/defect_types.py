"""Defect types: what kinds of defect there are, and what "size" means for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["UNCERTAIN", "DefectType", "may_be_line"]

# What people who label call what they are not sure of: it counts as neither found nor missed.
UNCERTAIN = "uncertain"

Shape = Literal["ellipse", "line"]
SizeDefinition = Literal["major-axis", "equivalent-diameter"]
Contrast = Literal["dark", "bright", "ring"]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class DefectType:
    """A named kind of defect.

    Parameters
    ----------
    name
        What stands in tables and annotation files, such as ``dislocation-loop``.
    title
        What stands in figures.
    shape
        ``ellipse`` or ``line``: which post-processors can measure it.
    size_definition
        ``major-axis``: the full major axis (loops, P2 and P3), or ``equivalent-diameter``:
        2·sqrt(a·b) with semi-axes a and b (black dots, P3).
    contrast
        ``dark``, ``bright`` or ``ring``.
    colour
        ``#rrggbb``, for overlays and figures.
    """

    name: str
    title: str
    shape: Shape
    size_definition: SizeDefinition = "major-axis"
    contrast: Contrast = "dark"
    colour: str = "#e69f00"

    def __post_init__(self) -> None:
        allowed = {
            "shape": ("ellipse", "line"),
            "size_definition": ("major-axis", "equivalent-diameter"),
            "contrast": ("dark", "bright", "ring"),
        }
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"a defect type needs a name, found {self.name!r}")
        for field, values in allowed.items():
            if getattr(self, field) not in values:
                raise ValueError(
                    f"defect type {self.name!r}: {field} must be one of {', '.join(values)}, "
                    f"found {getattr(self, field)!r}"
                )
        if not _COLOUR.fullmatch(self.colour):
            raise ValueError(
                f"defect type {self.name!r}: colour must look like '#e69f00', found {self.colour!r}"
            )


def may_be_line(name: str, types: Mapping[str, DefectType]) -> bool:
    """Return whether a defect type has the shape of a line, or is none of the known `types`."""
    return name not in types or types[name].shape == "line"
