"""What an analysis is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from defectscope.core.calibration import Calibration

__all__ = ["Finding", "KeyNumber", "Tables"]


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as an analysis sees them.

    Parameters
    ----------
    frames, detections, geometry, tracks
        As in the run folder; `tracks` is None where nothing was tracked, `geometry` where the
        analysis did not ask for it.
    calibration
        Calibration of the series.
    roi
        x_min, y_min, x_max, y_max of the part that was looked at, or None for whole frames.
    detector_scores
        ``precision`` and ``recall`` of the detector (0 to 1) and their standard errors
        (``precision_error``, ``recall_error``), as far as its weights' card gives them.
    detector_scores_by_type
        The same of each defect type of a detector of several: empty for a type of which they are
        not known, for those of all types together do not hold for one. Without any, the detector
        has one type.
    detector_source
        Where these come from, as a clause: "by its card, on …".
    masked
        (H, W) bool, True where detections were dropped (burnt-in captions), in px of the frames;
        None where nothing is masked.
    """

    frames: pd.DataFrame
    detections: pd.DataFrame
    geometry: pd.DataFrame | None
    tracks: pd.DataFrame | None
    calibration: Calibration
    roi: tuple[int, int, int, int] | None = None
    detector_scores: Mapping[str, float] = field(default_factory=dict)
    detector_source: str = ""
    masked: NDArray[np.bool_] | None = None
    detector_scores_by_type: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class KeyNumber:
    """A number that sums up a finding.

    Parameters
    ----------
    label
        What it is.
    value
        The number.
    unit
        Its unit as it is to be read, such as ``nm``; empty for a bare number.
    low, high
        Limits that hold the true value with a probability of 95 %, where they are known.
    """

    label: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Finding:
    """One result of an analysis.

    Parameters
    ----------
    name
        File stem of the figure and of the table behind it.
    title
        What stands above it.
    table
        The data behind the figure.
    figure
        A matplotlib figure, or None.
    numbers
        What a report says first.
    note
        What a reader must know about how it was worked out; stands below the figure.
    """

    name: str
    title: str
    table: pd.DataFrame
    figure: Figure | None = None
    numbers: tuple[KeyNumber, ...] = ()
    note: str = ""
