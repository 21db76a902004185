"""Images, folders, stacks and videos as one series: ``defectscope.open``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from defectscope.core.calibration import Calibration
from defectscope.core.frames import FrameSequence, parse_frame_range
from defectscope.pipeline.calibrating import merged_calibration, unknown_fractions
from defectscope.pipeline.given_values import expected_paths, expected_tables
from defectscope.pipeline.input_notes import still_true
from defectscope.pipeline.inputs import open_inputs
from defectscope.pipeline.time_tables import outside_table
from defectscope.plugins.host import PluginHost, default_host

__all__ = ["open_frames"]


def open_frames(
    paths: str | Path | Sequence[str | Path],
    *,
    frames: str | slice | range | None = None,
    calibration: Calibration | Mapping[str, Any] | Path | str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    host: PluginHost | None = None,
    **values: Any,
) -> FrameSequence:
    """Open images, folders, stacks or videos as one lazy sequence of frames.

    Parameters
    ----------
    paths
        One path or several.
    frames
        ``FIRST:STOP:STEP`` by frame index, STOP exclusive; or that as a slice or range.
    calibration
        A calibration, its fields by name, or a TOML file with one; overrules what the files say.
    options
        Options of readers by name, such as ``{"tiff": {"channel": 1}}``.
    host
        Plugins to use; the installed ones by default.
    **values
        Single fields of :class:`Calibration`, such as ``pixel_size_nm=0.372``, and
        ``dose_rate_dpa_per_s`` in place of ``dose_per_frame_dpa``; overrule both.

    Returns
    -------
    FrameSequence
        With length, index, slice, ``calibration`` and ``warnings``.

    Raises
    ------
    InputError, OptionError
        A path cannot be read; a value is outside its limits.
    """
    host = host or default_host()
    sequence = open_inputs(expected_paths(paths), host, options=expected_tables(options))
    merged = merged_calibration(sequence.calibration, calibration, values, sequence.warnings)
    sequence.warnings[:] = still_true(sequence.warnings, merged)
    sequence.warnings += unknown_fractions(merged, host.defect_types())
    selected: FrameSequence = sequence.calibrated(merged)
    if frames is not None:
        selected = selected.select(*parse_frame_range(frames))
    sequence.warnings += outside_table(merged, selected.indices)
    return selected
