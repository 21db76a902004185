"""Labelled synthetic data from Python: what ``defectscope generate`` does."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from defectscope.core.errors import UsageError
from defectscope.core.run_limits import whole_number
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.given_values import expected_path, expected_tables, several
from defectscope.pipeline.samples import SamplePlan

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.plugins.host import PluginHost

__all__ = ["generate"]


def generate(
    generators: str | Sequence[str],
    out: str | Path,
    *,
    background: str = "defectscope/texture",
    count: int = 1,
    length: int | None = None,
    size: int | tuple[int, int] = 512,
    seed: int = 0,
    bit_depth: Literal[8, 16] = 8,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    masks: bool = False,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    whole: Container[int] | None = None,
    host: PluginHost | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Dataset:
    """Write a dataset of labelled synthetic images or sequences, and return it.

    Parameters
    ----------
    generators
        ``NAME``, ``distribution/NAME`` or ``ALIAS=NAME`` of one or several, which share each image.
    out
        Dataset folder (``images/``, ``parameters/``, ``annotations.json``).
    background
        What to draw on.
    count
        Number of samples.
    length
        Makes each sample a sequence of so many frames.
    size
        Side, or width and height, px.
    seed
        The same seed, options and versions give the same pixels and truth.
    bit_depth
        Of the images.
    options
        Of generators and background, by name or alias.
    masks
        Also write a PNG mask of every instance.
    workers
        Processes; what is drawn does not depend on it.
    resume, overwrite
        Go on with an interrupted dataset of the same plan, or replace it.
    whole
        Numbers of the samples that are returned whole; of the others only boxes, defect types and
        what is ignored are kept, for the masks of many samples fill the memory. None for all.
    host
        Plugins to use; the installed ones by default.
    progress
        Called with (stage, images done, images in total).

    Raises
    ------
    UsageError, UnknownNameError, OptionError
        A name, an option or a setting is not as it must be; nothing was written.
    OutputError
        The folder holds something else, or cannot be written to.
    """
    width, height = _sides(size)
    count, seed = whole_number("count", count), whole_number("seed", seed)
    workers = whole_number("workers", workers, 1)
    length = None if length is None else whole_number("length", length)
    folder = expected_path(out)
    given = {name: dict(values) for name, values in expected_tables(options).items()}
    behind, *chosen = make_choices([background, *several(generators)], given)
    plan = SamplePlan(behind, tuple(chosen), (height, width), seed, length, bit_depth)
    return generate_dataset(
        plan, count, folder, host,
        workers=workers, masks=masks, resume=resume, overwrite=overwrite, whole=whole,
        progress=progress,
    )  # fmt: skip


def _sides(size: Any) -> tuple[int, int]:
    """Return width and height."""
    try:
        sides = size if isinstance(size, Sequence) else (size, size)
        width, height = (operator.index(side) for side in sides)
    except (TypeError, ValueError) as error:
        raise UsageError(
            "size must be a side or (width, height) in px, such as 512 or (1120, 710), "
            f"found {size!r}"
        ) from error
    return width, height
