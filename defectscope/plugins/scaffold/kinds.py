"""What the template of each family is filled in with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from defectscope.core.errors import UsageError, did_you_mean
from defectscope.plugins.records import FAMILIES, singular

__all__ = ["KINDS", "Kind", "family_of"]


class Kind(NamedTuple):
    """One family's template.

    Parameters
    ----------
    stem
        Name of the module.
    suffix
        What class names end in.
    summary
        What ``plugins list`` says.
    usage
        A command that uses it.
    """

    stem: str
    suffix: str
    summary: str
    usage: str


KINDS: Mapping[str, Kind] = {
    "detectors": Kind(
        "detector", "Detector", "Boxes around dark pixels that touch.",
        "defectscope run FRAMES --detector <<name>> --out results",
    ),
    "generators": Kind(
        "generator", "Generator", "Dark discs with a soft rim.",
        "defectscope generate <<name>> --count 10 --out data",
    ),
    "backgrounds": Kind(
        "background", "Background", "Grey that changes from one side to the other.",
        "defectscope generate in-situ-loops --background <<name>> --count 10 --out data",
    ),
    "postprocessors": Kind(
        "postprocessor", "PostProcessor", "How dark a box is, and its area.",
        "defectscope run FRAMES --post <<name>> --out results",
    ),
    "trackers": Kind(
        "tracker", "Tracker", "Links each detection to the nearest one before.",
        "defectscope run FRAMES --tracker <<name>> --out results",
    ),
    "analyses": Kind(
        "analysis", "Analysis", "Number of detections of each frame.",
        "defectscope run FRAMES --out results",
    ),
    "readers": Kind(
        "reader", "Reader", "NumPy arrays of one image or several.",
        "defectscope run series.<<name>> --out results",
    ),
    "formats": Kind(
        "annotations", "Format", "A CSV file with one row a box.",
        "defectscope convert labels boxes.csv --to <<name>>",
    ),
    "weights": Kind(
        "weights", "Weights", "Weights of heatmap; say here what they were learned from.",
        "defectscope run FRAMES --set heatmap.weights=<<name>> --out results",
    ),
    "defect-types": Kind(
        "types", "Type", "A defect type.",
        "defectscope plugins check <<name>>",
    ),
    "commands": Kind(
        "command", "Command", "A command.",
        "defectscope <<name>> results",
    ),
}  # fmt: skip


def family_of(word: str) -> str:
    """Return the family that a user means: ``detector``, ``detectors``, ``post-processor``.

    Raises
    ------
    UsageError
        There is no such family.
    """
    names = {family: family for family in KINDS}
    for family in FAMILIES:
        names[singular(family).replace(" ", "-")] = family
    names |= {"command": "commands", "postprocessor": "postprocessors", "weight": "weights",
              "post-processors": "postprocessors"}  # fmt: skip
    if word not in names:
        raise UsageError(
            f"there is no family {word!r}{did_you_mean(word, names)}; the families are: "
            f"{', '.join(KINDS)}"
        )
    return names[word]
