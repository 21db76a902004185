"""Number of defects, and their density by area and volume (P2, Fig. 4; P3, Table 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, series_styles
from defectscope.analysis.counting import LEVEL, detection_factor, scaled_limits
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    ScoresByType,
    detector_note,
    field_note,
    scores_of,
)
from defectscope.analysis.scales import NM2_IN_M2, NM_IN_M
from defectscope.analysis.series import FrameAxis, SeriesPanel
from defectscope.core.fields import Fields, counted_fields

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from defectscope import Calibration

__all__ = ["EDGES", "DensityOptions", "Edges", "NumberDensity", "density_table", "edge_weights"]

Edges = Literal["centres", "uncut"]
# What they are, for the options of all who count.
EDGES = (
    "centres: count every defect whose centre lies in the field; uncut: leave out those that the "
    "rim of the field cuts, and weight the others for it"
)
# What stands for the type where nothing was found.
ALL = "all"
# Of the densities that a table may have, the one to show first.
LABELS = {
    "number_density_per_m3": "Number density (m$^{-3}$)",
    "areal_density_per_m2": "Areal density (m$^{-2}$)",
}

TRACKS_NOTE = (
    "Precision and recall by the detector's card are left out: they are those of detections, and "
    "linking drops some of these and fills gaps."
)


class DensityOptions(DetectorScoreOptions):
    """Options of the analysis ``number-density``."""

    edges: Edges = Field("centres", description=EDGES)
    rows: Literal["detections", "tracks"] = Field(
        "detections",
        description="tracks: count the linked rows, with gaps filled, where there are any; "
        "precision and recall are then those given as options, not the card's",
    )


def edge_weights(rows: pd.DataFrame, fields: Fields) -> NDArray[np.float64]:
    """Return the weight of each defect in an unbiased count of those that the rim does not cut.

    Parameters
    ----------
    rows
        Detections with their boxes, px.
    fields
        Where they are counted.

    Returns
    -------
    ndarray
        (n,) weights; 0 for a defect whose box touches the rim.

    Notes
    -----
    Of defects with a box of w × h, those that lie whole in a field of W × H have their centre in
    (W - w)(H - h) of it, so that each stands for W·H / ((W - w)(H - h)) of them (Miles, in
    Stochastic Geometry, Wiley 1974, 228, and Lantuéjoul 1978: the minus-sampling estimator).
    Masked parts are left out of both areas, as no centre counts there.
    """
    row = fields.rows(rows)
    box = fields.boxes[row]
    own = rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
    whole = (
        (row >= 0) & (own[:, :2] > box[:, :2]).all(axis=1) & (own[:, 2:] < box[:, 2:]).all(axis=1)
    )
    half = (own[:, 2:] - own[:, :2]) / 2
    centres = np.hstack([box[:, :2] + half, box[:, 2:] - half])
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = fields.areas_of(box) / fields.areas_of(centres)
    return np.where(whole, weights, 0.0)


def density_table(
    tables: Tables,
    edges: Edges = "centres",
    scores: Mapping[str, float] | None = None,
    rows: pd.DataFrame | None = None,
    level: float = LEVEL,
    by_type: ScoresByType | None = None,
) -> pd.DataFrame:
    """Return the densities of each frame and defect type.

    Parameters
    ----------
    tables
        Frames that could not be read have no count and no row.
    edges
        ``centres`` or ``uncut``: see :class:`DensityOptions`.
    scores
        ``precision`` and ``recall`` of the detector, and their errors.
    rows
        Rows to count in place of the detections.
    level
        Probability of the limits.
    by_type
        Those of each defect type of a detector of several: see ``Tables.detector_scores_by_type``.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, ``count`` (as seen in the field),
        ``area_px`` (of the field, px²), ``true_count`` (corrected for what the rim cuts and what
        the detector misses and invents); with a known pixel size ``areal_density_per_m2``, with
        a known foil thickness ``number_density_per_m3``. Each has a counting error
        (``_error``, standard) and limits (``_low``, ``_high``). Densities are divided by the
        visible fraction of the type; where nothing was found at all, the type is ``all``, and its
        fraction the least one that is given.

    Notes
    -----
    P2 takes the sample as a box of the field of view times the foil thickness, and multiplies
    by 7/4 for a visible fraction of 4/7. The limits are those of a Poisson process, which the
    defects of one frame are; counts of neighbouring frames are of the same defects, so that the
    mean over a series is hardly better known than one frame's. The field is the part of the
    specimen that every frame shows where frames are registered.
    """
    frames = tables.frames[tables.frames["status"] == "ok"]
    found = tables.detections if rows is None else rows
    fields = counted_fields(tables)
    found = found[fields.hold(found)]
    weights = edge_weights(found, fields) if edges == "uncut" else np.ones(len(found))
    types = sorted(found["defect_type"].dropna().unique()) or [ALL]
    row = fields.rows(found)
    parts = []
    for name in types:
        own = (found["defect_type"] == name).to_numpy()
        # Where nothing was found, it is what holds for all types together that counts.
        factor = detection_factor(scores_of(name, scores, None if name == ALL else by_type))
        sums = [
            np.bincount(row[own], values[own], minlength=len(frames)).astype(float)
            for values in (np.ones(len(found)), weights, weights**2)
        ]
        part = frames[["frame", "time_s", "dose_dpa"]].copy()
        part["defect_type"] = name
        part["count"] = sums[0].astype(np.int64)
        part["area_px"] = fields.areas_px
        _add_true(part, sums[1], sums[2], *factor, level)
        _add_densities(part, tables, name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _add_true(
    part: pd.DataFrame,
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
    factor: float,
    factor_error: float,
    level: float,
) -> None:
    """Add the corrected count; weighted counts vary as fewer of a larger weight would."""
    weight = np.divide(squares, total, out=np.ones_like(total), where=total > 0)
    effective = np.divide(total, weight)
    part["true_count"] = total * factor
    part["true_count_error"] = np.hypot(np.sqrt(squares), total * factor_error) * factor
    low, high = scaled_limits(effective, weight * factor, factor_error, level)
    part["true_count_low"], part["true_count_high"] = low, high


def _add_densities(part: pd.DataFrame, tables: Tables, name: str) -> None:
    calibration = tables.calibration
    if calibration.pixel_size_nm is None:
        return
    seen = _least_visible(calibration) if name == ALL else calibration.visible(name)
    area_m2 = part["area_px"] * calibration.pixel_size_nm**2 * NM2_IN_M2
    extents = {"areal_density_per_m2": area_m2 * seen}
    if calibration.thickness_nm is not None:
        extents["number_density_per_m3"] = area_m2 * calibration.thickness_nm * NM_IN_M * seen
    for quantity, extent in extents.items():
        for suffix in ("", "_error", "_low", "_high"):
            part[quantity + suffix] = part[f"true_count{suffix}"] / extent


def _least_visible(calibration: Calibration) -> float:
    """Return the fraction by which an upper limit holds whatever type was not found."""
    return min([*calibration.visible_fraction.values(), calibration.visible(ALL)])


class NumberDensity(Analysis):
    """Density of each defect type against dose, time or frame, with confidence limits."""

    Options = DensityOptions
    options: DensityOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none without frames."""
        options = self.options
        rows = tables.tracks if options.rows == "tracks" else None
        # Filling gaps mends what the detector misses: not to be corrected for twice.
        unknown: dict[str, Any] = {
            "detector_scores": {},
            "detector_source": "",
            "detector_scores_by_type": {},
        }
        known = tables if rows is None else replace(tables, **unknown)
        scores = options.scores(known.detector_scores)
        left_out = set(tables.detector_scores) - set(scores)
        by_type = options.scores_by_type(known.detector_scores_by_type)
        table = density_table(tables, options.edges, scores, rows, by_type=by_type)
        if table.empty:
            return []
        quantity = next((name for name in LABELS if name in table), "true_count")
        groups = {str(name): rows for name, rows in table.groupby("defect_type")}
        by_type = {} if ALL in groups else by_type
        styles = series_styles(groups, self.runtime.defect_types)
        figure, axis = _drawn(groups, quantity, tables.frames, styles)
        notes = (
            detector_note(scores, options.source(known), by_type=by_type, names=groups),
            TRACKS_NOTE if left_out else "",
            field_note(tables),
        )
        note = " ".join(filter(None, notes))
        shapes = {name: known.shape for name, known in self.runtime.defect_types.items()}
        corrected = {
            name: _corrected(options.edges, scores_of(name, scores, by_type)) for name in groups
        }
        numbers = _last(table, quantity, styles, shapes, corrected, axis)
        return [Finding("number-density", "Number density", table, figure, numbers, note)]


def _drawn(
    groups: Mapping[str, pd.DataFrame],
    quantity: str,
    frames: pd.DataFrame,
    styles: Mapping[str, SeriesStyle],
) -> tuple[Figure, FrameAxis]:
    """Return the course of the density of each type, and what it is drawn against."""
    figure, (panel,) = new_figure()
    panel.set_ylabel(LABELS.get(quantity, "Number a frame"))
    series = SeriesPanel(panel, frames, "95 % limits", types=len(groups))
    for name, style in styles.items():
        rows = groups[name]
        low, high = (rows[f"{quantity}_{side}"] for side in ("low", "high"))
        series.draw(rows, rows[quantity], low, high, style)
    if series.axis.is_series:
        _mark_jumps(panel, frames, series.axis.column)
    panel.set_ylim(bottom=0)
    series.legend()
    return figure, series.axis


def _corrected(edges: Edges, scores: Mapping[str, float]) -> str:
    """Return what numbers are corrected for, as a clause that stands at each; or nothing."""
    causes = ["what the rim cuts"] if edges == "uncut" else []
    causes += ["precision and recall"] if {"precision", "recall"} & set(scores) else []
    return f", corrected for {' and '.join(causes)}" if causes else ""


def _last(
    table: pd.DataFrame,
    quantity: str,
    styles: Mapping[str, SeriesStyle],
    shapes: Mapping[str, str],
    corrected: Mapping[str, str],
    axis: FrameAxis,
) -> tuple[KeyNumber, ...]:
    unit = {"areal_density_per_m2": "1/m²", "number_density_per_m3": "1/m³"}.get(quantity, "")

    def label(name: str) -> str:
        # The density of lines is their length by volume, which this is not.
        if unit and shapes.get(name) == "line":
            return "Number density of lines"
        return "Density" if unit else "Number"

    return tuple(
        KeyNumber(
            f"{label(row['defect_type'])} {axis.where(row['frame'])}, "
            f"{styles[row['defect_type']].title} "
            f"({row['count']} found{corrected[row['defect_type']]})",
            row[quantity],
            unit,
            row[f"{quantity}_low"],
            row[f"{quantity}_high"],
        )
        for row in table.groupby("defect_type").tail(1).to_dict("records")
    )


def _mark_jumps(panel: Axes, frames: pd.DataFrame, axis: str) -> None:
    if "jump" not in frames:
        return
    for place in frames.loc[frames["jump"] == 1, axis].dropna():
        panel.axvline(place, color="0.6", linewidth=0.6, linestyle=":", zorder=0)
