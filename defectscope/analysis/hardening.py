"""Hardening by obstacles, from density and size: the dispersed barrier model.

Seeger 1958, as used for loops by Field et al. and in the sensitivity study of P3 (the paper on
several defect types): Δσ = M·α·μ·b·sqrt(ρ·d).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field
from scipy import special

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import new_figure, series_styles
from defectscope.analysis.counting import LEVEL
from defectscope.analysis.density import EDGES, Edges, density_table
from defectscope.analysis.detector_scores import DetectorScoreOptions, detector_note, field_note
from defectscope.analysis.scales import NM_IN_M
from defectscope.analysis.series import SeriesPanel
from defectscope.analysis.sizes import size_table
from defectscope.analysis.whole_sizes import cut_note, with_whole_sizes
from defectscope.core.fields import counted_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Hardening", "HardeningOptions", "Strength", "barrier_hardening", "hardening_table"]

QUANTITY = "number_density_per_m3"


class HardeningOptions(DetectorScoreOptions):
    """Constants of the dispersed barrier model; the defaults are those of ferritic steel."""

    taylor_factor: float = Field(3.06, gt=0, le=10, description="M, of a texture-free bcc metal")
    strength: float = Field(0.4, gt=0, le=1, description="α, strength of the obstacles")
    shear_modulus_gpa: float = Field(82.0, gt=0, le=1000, description="μ, GPa")
    burgers_nm: float = Field(
        0.248, gt=0, le=10, description="b, nm, of the dislocations that glide: a/2⟨111⟩ of iron"
    )
    diameter_error_nm: float = Field(
        0.0, ge=0, description="error that all diameters have in common, nm; P3: 1.7"
    )
    edges: Edges = Field("centres", description=f"how the density is counted; {EDGES}")


class Strength(NamedTuple):
    """Hardening, MPa, and its standard error."""

    mpa: NDArray[np.float64]
    error_mpa: NDArray[np.float64]


def barrier_hardening(
    density_per_m3: ArrayLike,
    diameter_nm: ArrayLike,
    options: HardeningOptions | None = None,
    density_error_per_m3: ArrayLike = 0.0,
    diameter_error_nm: ArrayLike = 0.0,
) -> Strength:
    """Return the hardening by obstacles, Δσ = M·α·μ·b·sqrt(ρ·d).

    Parameters
    ----------
    density_per_m3, diameter_nm
        (n,) number density ρ, 1/m³, and mean diameter d, nm.
    options
        M, α, μ and b.
    density_error_per_m3, diameter_error_nm
        Their standard errors.

    Notes
    -----
    Relative errors: half of those of density and diameter, added in quadrature; an error ε of d
    alone changes Δσ by ε/2d (P3).
    """
    constants = options or HardeningOptions()
    density, diameter = np.asarray(density_per_m3, float), np.asarray(diameter_nm, float)
    common = constants.diameter_error_nm
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = 0.5 * np.sqrt(
            (np.asarray(density_error_per_m3, float) / density) ** 2
            + (np.asarray(diameter_error_nm, float) / diameter) ** 2
            + (common / diameter) ** 2
        )
    factor = constants.taylor_factor * constants.strength * constants.shear_modulus_gpa * 1e3
    strength = factor * constants.burgers_nm * NM_IN_M * np.sqrt(density * diameter * NM_IN_M)
    return Strength(strength, np.where(density > 0, strength * relative, 0.0))


def hardening_table(
    tables: Tables,
    options: HardeningOptions | None = None,
    scores: Mapping[str, float] | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return the hardening of each frame and defect type.

    Parameters
    ----------
    tables
        As of the run folder, with a known pixel size and foil thickness.
    options
        M, α, μ, b, the error that all diameters have in common, and how the rim is counted.
    scores
        ``precision`` and ``recall`` of the detector and their errors, where they are known.
    level
        Probability of the limits.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, the number density as in
        :func:`defectscope.analysis.density.density_table`, ``mean_nm`` and ``mean_error_nm`` of
        the diameter, and ``hardening_mpa`` with its standard error (``_error``) and limits
        (``_low``, ``_high``).

    Notes
    -----
    Density and diameters are of what lies in the field that is counted in. Mean and spread of a
    type over all frames stand in where a frame has none, or a single one. On the logarithm half
    the distances of the limits of density and diameter add up in quadrature, those of the mean
    diameter being Student's, and of the error that all have in common normal; where nothing was
    counted the upper limit of the density is that of the hardening. A type of which no diameter was
    measured has none.
    """
    constants = options or HardeningOptions()
    detections = tables.detections
    counted = with_whole_sizes(detections[counted_fields(tables).hold(detections)])
    inside = replace(tables, detections=counted)
    density = density_table(inside, constants.edges, scores, level=level)
    sizes = size_table(inside, "diameter_nm", scores, level)
    sizes["wide"] = sizes["mean_nm_high"] - sizes["mean_nm"]
    names = [QUANTITY, *(f"{QUANTITY}_{suffix}" for suffix in ("error", "low", "high"))]
    table = density[["frame", "time_s", "dose_dpa", "defect_type", *names]].merge(
        sizes[["frame", "defect_type", "mean_nm", "mean_error_nm", "wide"]],
        on=["frame", "defect_type"], how="left",
    )  # fmt: skip
    of_type = inside.detections.groupby("defect_type")["diameter_nm"]
    table["mean_nm"] = table["mean_nm"].fillna(table["defect_type"].map(of_type.mean()))
    table["mean_error_nm"] = table["mean_error_nm"].fillna(table["defect_type"].map(of_type.std()))
    quantile = special.stdtrit((of_type.count() - 1).clip(lower=1), (1 + level) / 2)
    usual = table["defect_type"].map(of_type.std() * quantile)
    sampled = table.pop("wide").where(np.isfinite).fillna(usual).fillna(0.0)
    diameter, error = table["mean_nm"], table["mean_error_nm"].fillna(0.0)
    rho, rho_error, low, high = (table[name].to_numpy(float) for name in names)
    found = barrier_hardening(rho, diameter, constants, rho_error, error)
    # Of none there is no hardening, but of what has no known size it is unknown also then.
    unknown = np.where(diameter.notna(), 0.0, np.nan)
    table["hardening_mpa"] = np.where(rho == 0, unknown, found.mpa)
    table["hardening_mpa_error"] = np.where(rho == 0, unknown, found.error_mpa)
    common = special.ndtri((1 + level) / 2) * constants.diameter_error_nm
    wide = (np.hypot(sampled, common) / diameter).to_numpy(float)
    middle = np.where(rho > 0, rho, high)
    strength = barrier_hardening(middle, diameter, constants).mpa
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.exp(-np.hypot(np.log(middle / low), wide) / 2)
        table["hardening_mpa_low"] = np.where(low > 0, strength * down, unknown)
        up = np.exp(np.hypot(np.log(high / middle), wide) / 2)
    table["hardening_mpa_high"] = strength * up
    return table


class Hardening(Analysis):
    """Hardening of each defect type against dose, with its limits."""

    Options = HardeningOptions
    options: HardeningOptions
    shapes = ("ellipse",)

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where volume density or sizes are unknown."""
        calibration = tables.calibration
        known = calibration.pixel_size_nm is not None and calibration.thickness_nm is not None
        if not known or "diameter_nm" not in tables.detections:
            return []
        scores = self.options.scores(tables.detector_scores)
        table = hardening_table(tables, self.options, scores)
        if table["hardening_mpa"].isna().all():
            return []
        figure, (panel,) = new_figure()
        groups = {str(name): rows for name, rows in table.groupby("defect_type")}
        series = SeriesPanel(panel, tables.frames, "95 % limits", types=len(groups))
        numbers = []
        for name, style in series_styles(groups, self.runtime.defect_types).items():
            own = groups[name].dropna(subset=["hardening_mpa"])
            y, low, high = (
                own[f"hardening_mpa{end}"].to_numpy(float) for end in ("", "_low", "_high")
            )
            series.draw(own, y, low, high, style)
            if len(y):
                where = series.axis.where(own["frame"].iloc[-1], "in the last frame")
                text = f"Hardening by {style.title.lower()}s {where}"
                limits = (low[-1], high[-1]) if np.isfinite(high[-1]) else (None, None)
                numbers.append(KeyNumber(text, y[-1], "MPa", *limits))
        panel.set_ylabel("Hardening (MPa)")
        panel.set_ylim(bottom=0)
        series.legend()
        source = self.options.source(tables)
        uncut = "Densities are corrected for what the rim cuts."
        notes = (uncut if self.options.edges == "uncut" else "",
                 detector_note(scores, source), detector_note(scores, source, for_counts=False),
                 cut_note(tables.detections[counted_fields(tables).hold(tables.detections)]),
                 field_note(tables))  # fmt: skip
        note = " ".join(filter(None, notes))
        return [
            Finding("hardening", "Dispersed-barrier hardening", table, figure, tuple(numbers), note)
        ]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if tables.calibration.pixel_size_nm is None:
            return "the pixel size is not known"
        if tables.calibration.thickness_nm is None:
            return "the foil thickness is not known, which a number density needs"
        if tables.detections.empty:
            return "nothing was found"
        return "no sizes were measured; choose a post-processor for the run"
