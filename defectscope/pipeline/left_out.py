"""Defects that were asked for and found no room in the images of a synthetic dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["left_out_notes"]

# Among the parameters of a generator: how many it could not place in a sample.
LEFT_OUT = "left_out"
KEY = f'"{LEFT_OUT}"'.encode()


def left_out_notes(parameters: Sequence[Path]) -> tuple[str, ...]:
    """Return a sentence for each generator that left defects out, with their number.

    Parameters
    ----------
    parameters
        The parameters files of all samples: they know of those that an earlier process drew, too.
    """
    found: dict[str, list[int]] = {}
    for path in parameters:
        text = path.read_bytes()
        if KEY not in text:
            continue  # most generators count nothing, and to read what they noted takes long
        for generator in json.loads(text)["generators"]:
            drawn = generator["parameters"]
            # A third party's may be anything that JSON holds.
            number = drawn.get(LEFT_OUT) if isinstance(drawn, dict) else None
            if isinstance(number, int) and number > 0:
                found.setdefault(generator["alias"], []).append(number)
    return tuple(
        f"{alias}: there was no room for {sum(numbers)} of the defects that were asked for, in "
        f"{len(numbers)} of {len(parameters)} sample{'' if len(parameters) == 1 else 's'} "
        f"({LEFT_OUT} in parameters/); ask for fewer, or use larger images"
        for alias, numbers in found.items()
    )
