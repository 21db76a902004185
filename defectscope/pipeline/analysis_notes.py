"""What is to be said beside the figures of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from defectscope.core.calibration import UNSURE_SIZE
from defectscope.pipeline.calibrating import HALF_A_LAW
from defectscope.pipeline.input_notes import still_true
from defectscope.pipeline.run_status import said_of_incomplete

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration
    from defectscope.core.findings import Tables
    from defectscope.pipeline.results import Result

__all__ = ["said_of_run"]


def said_of_run(result: Result, tables: Tables) -> list[str]:
    """Return how far an unfinished run came, what it said, and what its calibration lacks.

    Parameters
    ----------
    result
        The run.
    tables
        Its tables, under the calibration that is used.
    """
    calibration = tables.calibration
    of_run = [text for text in result.warnings if text != HALF_A_LAW]
    of_run = still_true(of_run, calibration, result.mixed_sizes)
    if calibration.pixel_size_nm != result.calibration.pixel_size_nm:
        of_run = [text for text in of_run if not text.endswith(UNSURE_SIZE)]
    found = [
        *said_of_incomplete(result),
        *of_run,
        *(f"skipped: {text}" for text in result.info["damaged_frames"]),
    ]
    missing = _missing(calibration, tables, result.mixed_sizes)
    if missing:
        texts, options = zip(*missing, strict=True)
        found.append(
            f"unknown, and so left out: {', '.join(texts)}; give {', '.join(options)} to analyze"
        )
    return list(dict.fromkeys(found))


def _missing(calibration: Calibration, tables: Tables, mixed_sizes: bool) -> list[tuple[str, str]]:
    """Return what is unknown, and the options that give it."""
    # Labelled images may bring their own, without any law.
    dose = calibration.knows_doses or tables.frames["dose_dpa"].notna().any()
    laws = (
        ("frame interval (times are in frames)", "--frame-interval", calibration.knows_times),
        ("dose law", "--dose-start and --dose-per-frame", dose),
    )
    length, depth = calibration.pixel_size_nm is not None, calibration.thickness_nm is not None
    values = (
        ("pixel size (lengths are in px)", "--pixel-size", length),
        # Unrelated images have none by their numbers.
        *(() if mixed_sizes else laws),
        ("foil thickness (no densities by volume)", "--thickness", depth),
    )
    return [(text, option) for text, option, known in values if not known]
