"""A table of detections linked anew: ``defectscope track``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from defectscope.core.frame_steps import common_step
from defectscope.core.run_limits import whole_number
from defectscope.pipeline.choices import Choice, make_choices
from defectscope.pipeline.detection_files import NEEDED, plain_table, read_detections
from defectscope.pipeline.given_tracks import detections_of
from defectscope.pipeline.given_values import expected_path, expected_tables
from defectscope.pipeline.linking_tables import LinkingTables
from defectscope.pipeline.named import NamedComponent
from defectscope.pipeline.results import Result
from defectscope.pipeline.said import only_warnings
from defectscope.plugins.host import PluginHost, default_host

__all__ = ["track"]

TABLE = "a table of detections, its file, or what a pipeline returned"


def track(
    table: pd.DataFrame | str | Path | Result,
    tracker: str | Choice,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    frame_step: int | None = None,
    host: PluginHost | None = None,
    say: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Link the detections of a table into particles.

    Parameters
    ----------
    table
        With at least the columns ``frame``, ``x`` and ``y`` (px): a DataFrame, a CSV or Parquet
        file, a folder of Parquet parts, or what a pipeline returned. That one, and a file
        ``detections.*`` in a run folder, is linked as the run would.
    tracker
        ``NAME``, ``distribution/NAME`` or ``ALIAS=NAME``.
    options
        Options of the tracker, by its name.
    frame_step
        Difference of the indices of two frames that were looked at one after the other; by default
        the largest that fits all indices.
    host
        Plugins to use; the installed ones by default.
    say
        Called with a line about what is linked how, such as `print`. Without it, the lines that
        warn come as Python's warnings.

    Returns
    -------
    pandas.DataFrame
        The linked rows as they are, with a column ``particle``; a tracker may leave rows out.

    Raises
    ------
    DefectscopeError
        The table cannot be read, an option is not possible, or the tracker fails.
    """
    say = say or only_warnings
    choice = make_choices([tracker], expected_tables(options))[0]
    if frame_step is not None:
        frame_step = whole_number("frame_step", frame_step)
    if isinstance(table, pd.DataFrame):
        detections, beside = plain_table(table), LinkingTables(None)
    else:
        path = detections_of(table) if isinstance(table, Result) else expected_path(table, TABLE)
        detections, beside = read_detections(path), LinkingTables.beside(path)
    _warn_of_repeated(detections, say)
    for text in beside.warnings:
        say(f"warning: {text}")
    step = frame_step or beside.frame_step or _common_step(detections, say)
    named = NamedComponent.build(host or default_host(), "trackers", choice)
    if named.component.needs_geometry and not beside.has_geometry:
        say(
            f"warning: {named.label} goes by the courses of lines, which stand in geometry.* of a "
            "run; there is none beside the table, so that it goes by positions"
        )
    return beside.linked(named, detections, step)


def _common_step(detections: pd.DataFrame, say: Callable[[str], None]) -> int:
    """Return the step that all frame indices fit, and say so where it is not 1."""
    frames = detections.get("frame")
    if frames is None or not pd.api.types.is_integer_dtype(frames) or frames.isna().any():
        return 1  # the tracker says what is wrong
    step = common_step(frames)
    if step > 1:
        say(
            f"frame indices are {step} apart, or multiples of it: memory and gaps count steps of "
            f"{step}; a frame step of 1 counts every index"
        )
    return step


def _warn_of_repeated(detections: pd.DataFrame, say: Callable[[str], None]) -> None:
    if not set(NEEDED) <= set(detections.columns):
        return  # the tracker says what is missing
    repeated = int(detections.duplicated(list(NEEDED)).sum())
    if repeated:
        rows = "1 row repeats" if repeated == 1 else f"{repeated} rows repeat"
        say(f"warning: {rows} the frame, x and y of an earlier one; all are linked")
