"""Hardening by obstacles, from density and size: the dispersed barrier model.

Seeger 1958, as used for loops by Field et al. and in the sensitivity study of P3 (the paper on
several defect types): Δσ = M·α·μ·b·sqrt(ρ·d).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import Field

from defectscope import Analysis, Finding, KeyNumber, Options, Tables
from defectscope.analysis.axes import new_figure, series_styles
from defectscope.analysis.density import density_table
from defectscope.analysis.series import SeriesPanel
from defectscope.analysis.sizes import size_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Hardening", "HardeningOptions", "Strength", "barrier_hardening"]


class HardeningOptions(Options):
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
    strength = factor * constants.burgers_nm * 1e-9 * np.sqrt(density * diameter * 1e-9)
    return Strength(strength, np.where(density > 0, strength * relative, 0.0))


class Hardening(Analysis):
    """Hardening of each defect type against dose, with its error."""

    Options = HardeningOptions
    options: HardeningOptions

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where volume density or sizes are unknown."""
        if "diameter_nm" not in tables.detections or tables.calibration.thickness_nm is None:
            return []
        density = density_table(tables, scores=tables.detector_scores)
        if "number_density_per_m3" not in density:
            return []
        sizes = size_table(tables, "diameter_nm", tables.detector_scores)[
            ["frame", "defect_type", "mean_nm", "standard_error_nm", "mean_error_nm"]
        ]
        table = density[
            ["frame", "time_s", "dose_dpa", "defect_type", "number_density_per_m3",
             "number_density_per_m3_error"]
        ].merge(sizes, on=["frame", "defect_type"], how="left")  # fmt: skip
        found = barrier_hardening(
            table["number_density_per_m3"],
            table["mean_nm"],
            self.options,
            table["number_density_per_m3_error"],
            table["mean_error_nm"].fillna(0.0),
        )
        table["hardening_mpa"], table["hardening_mpa_error"] = found
        nothing = table["number_density_per_m3"] == 0
        table.loc[nothing, ["hardening_mpa", "hardening_mpa_error"]] = 0.0
        if table.empty:
            return []
        figure, (panel,) = new_figure()
        series = SeriesPanel(panel, tables.frames, "standard error")
        groups = {str(name): rows for name, rows in table.groupby("defect_type")}
        numbers = []
        for name, style in series_styles(groups, self.runtime.defect_types).items():
            own = groups[name].dropna(subset=["hardening_mpa"])
            y = own["hardening_mpa"].to_numpy(float)
            error = own["hardening_mpa_error"].to_numpy(float)
            series.draw(own, y, y - error, y + error, style)
            if len(y):
                text = f"Hardening by {style.title.lower()}s in the last frame"
                wide = 1.96 * error[-1]
                numbers.append(KeyNumber(text, y[-1], "MPa", max(y[-1] - wide, 0), y[-1] + wide))
        panel.set_ylabel("Hardening (MPa)")
        panel.set_ylim(bottom=0)
        series.legend()
        title = "Dispersed-barrier hardening"
        return [Finding("hardening", title, table, figure, tuple(numbers))]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if tables.calibration.pixel_size_nm is None:
            return "the pixel size is not known"
        if tables.calibration.thickness_nm is None:
            return "the foil thickness is not known, which a number density needs"
        return "no sizes were measured; choose a post-processor for the run"
