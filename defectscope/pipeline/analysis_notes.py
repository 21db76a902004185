"""What is to be said beside the figures of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from defectscope.pipeline.calibrating import HALF_A_LAW
from defectscope.pipeline.run_status import said_of_incomplete

if TYPE_CHECKING:
    from defectscope.core.findings import Tables
    from defectscope.pipeline.results import Result

__all__ = ["said_of_run"]


def said_of_run(result: Result, tables: Tables) -> list[str]:
    """Return how far a run came that has no end, what it said, and what could not be worked out for want of calibration.

    Parameters
    ----------
    result
        The run.
    tables
        Its tables, under the calibration that is used.
    """
    calibration = tables.calibration
    of_run = [text for text in result.warnings if text != HALF_A_LAW]
    found = [*said_of_incomplete(result), *of_run, *(f"skipped: {text}" for text in result.info["damaged_frames"])]
    # Labelled images may bring their own, without any law.
    dose = calibration.dose_dpa(0) if tables.frames["dose_dpa"].isna().all() else 0.0
    missing = [
        (text, option)
        for text, option, value in (
            ("pixel size (lengths are in px)", "--pixel-size", calibration.pixel_size_nm),
            (
                "frame interval (times are in frames)",
                "--frame-interval",
                calibration.frame_interval_s,
            ),
            ("dose law", "--dose-start and --dose-per-frame", dose),
            ("foil thickness (no densities by volume)", "--thickness", calibration.thickness_nm),
        )
        if value is None
    ]
    if missing:
        texts, options = zip(*missing, strict=True)
        found.append(
            f"unknown, and so left out: {', '.join(texts)}; give {', '.join(options)} to analyze"
        )
    return list(dict.fromkeys(found))
