"""Hardening by obstacles, from density and size: the dispersed barrier model.

Seeger 1958, as used for loops by Field et al. and in the sensitivity study of P3 (the paper on
several defect types): Δσ = M·α·μ·b·sqrt(ρ·d).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from scipy import special

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import SeriesStyle, new_figure, series_styles
from defectscope.analysis.counting import LEVEL, detection_factor
from defectscope.analysis.density import EDGES, Edges, density_table
from defectscope.analysis.detector_scores import (
    DetectorScoreOptions,
    ScoresByType,
    detector_note,
    field_note,
)
from defectscope.analysis.scales import NM_IN_M
from defectscope.analysis.series import SeriesPanel
from defectscope.analysis.sizes import size_table
from defectscope.analysis.superposition import ALL_TYPES, Superposition, with_total
from defectscope.analysis.whole_sizes import cut_note, with_whole_sizes
from defectscope.core.errors import did_you_mean
from defectscope.core.fields import counted_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Hardening", "HardeningOptions", "Strength", "barrier_hardening", "hardening_table"]

QUANTITY = "number_density_per_m3"
DENSITY = (QUANTITY, *(f"{QUANTITY}_{suffix}" for suffix in ("error", "low", "high")))
STRENGTH = 0.4
TOTALS = {"quadratic": "the root of the sum of squares of that by each",
          "linear": "the sum of that by each"}  # fmt: skip


class HardeningOptions(DetectorScoreOptions):
    """Constants of the dispersed barrier model; the defaults are those of ferritic steel."""

    taylor_factor: float = Field(3.06, gt=0, le=10, description="M, of a texture-free bcc metal")
    strength: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default={"*": STRENGTH},
        description='α, strength of the obstacles: one number, or one for each defect type, "*" '
        f"being those that are not named ({STRENGTH})",
    )
    superposition: Superposition = Field(
        "quadratic",
        description="how the hardening by several types adds up: quadratic (root of the sum of "
        "squares), linear (sum)",
    )
    shear_modulus_gpa: float = Field(82.0, gt=0, le=1000, description="μ, GPa")
    burgers_nm: float = Field(
        0.248, gt=0, le=10, description="b, nm, of the dislocations that glide: a/2⟨111⟩ of iron"
    )
    diameter_error_nm: float = Field(
        0.0, ge=0, description="error that all diameters have in common, nm; P3: 1.7"
    )
    edges: Edges = Field("centres", description=f"how the density is counted; {EDGES}")

    @field_validator("strength", mode="before")
    @classmethod
    def _one_number_means_every_type(cls, value: Any) -> Any:
        return {"*": value} if isinstance(value, int | float) else value

    def strength_of(self, defect_type: str) -> float:
        """Return α of a defect type."""
        return self.strength.get(defect_type, self.strength.get("*", STRENGTH))


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
    defect_type: str | Sequence[str] = "*",
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
    defect_type
        One for all, or (n,), of which α may depend.

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
    names = [defect_type] if isinstance(defect_type, str) else defect_type
    alpha = np.array([constants.strength_of(name) for name in names])
    alpha = alpha[0] if isinstance(defect_type, str) else alpha
    factor = constants.taylor_factor * alpha * constants.shear_modulus_gpa * 1e3
    strength = factor * constants.burgers_nm * NM_IN_M * np.sqrt(density * diameter * NM_IN_M)
    return Strength(strength, np.where(density > 0, strength * relative, 0.0))


def hardening_table(
    tables: Tables,
    options: HardeningOptions | None = None,
    scores: Mapping[str, float] | None = None,
    level: float = LEVEL,
    by_type: ScoresByType | None = None,
) -> pd.DataFrame:
    """Return the hardening of each frame and defect type, and of all types.

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
    by_type
        Those of each defect type of a detector of several: see ``Tables.detector_scores_by_type``.

    Returns
    -------
    DataFrame
        ``frame``, ``time_s``, ``dose_dpa``, ``defect_type``, the number density as in
        :func:`defectscope.analysis.density.density_table`, ``mean_nm`` and ``mean_error_nm`` of
        the diameter, and ``hardening_mpa`` with its standard error (``_error``) and limits
        (``_low``, ``_high``). Where several types have one, each frame has a row ``all types`` more
        (:func:`defectscope.analysis.superposition.with_total`).

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
    table = _densities_and_diameters(inside, constants.edges, scores, level, by_type)
    sampled = table.pop("wide")
    diameter, error = table["mean_nm"], table["mean_error_nm"].fillna(0.0)
    rho, rho_error, low, high = (table[name].to_numpy(float) for name in DENSITY)
    types = table["defect_type"].tolist()
    found = barrier_hardening(rho, diameter, constants, rho_error, error, types)
    # Of none there is no hardening, but of what has no known size it is unknown also then.
    unknown = np.where(diameter.notna(), 0.0, np.nan)
    table["hardening_mpa"] = np.where(rho == 0, unknown, found.mpa)
    table["hardening_mpa_error"] = np.where(rho == 0, unknown, found.error_mpa)
    of_all = special.ndtri((1 + level) / 2) * constants.diameter_error_nm
    wide = (np.hypot(sampled, of_all) / diameter).to_numpy(float)
    middle = np.where(rho > 0, rho, high)
    strength = barrier_hardening(middle, diameter, constants, defect_type=types).mpa
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.exp(-np.hypot(np.log(middle / low), wide) / 2)
        table["hardening_mpa_low"] = np.where(low > 0, strength * down, unknown)
        up = np.exp(np.hypot(np.log(high / middle), wide) / 2)
    table["hardening_mpa_high"] = strength * up
    common = constants.common_scores(set(types), scores, by_type)
    return with_total(
        table, constants.superposition, constants.diameter_error_nm, detection_factor(common)[1]
    )


def _densities_and_diameters(
    tables: Tables,
    edges: Edges,
    scores: Mapping[str, float] | None,
    level: float,
    by_type: ScoresByType | None,
) -> pd.DataFrame:
    """Return density and mean diameter of each frame and type.

    The upper limit of a mean is ``wide`` above it. Mean and spread of the type over all frames
    stand in where a frame has none, or a single one.
    """
    density = density_table(tables, edges, scores, level=level, by_type=by_type)
    sizes = size_table(tables, "diameter_nm", scores, level, by_type)
    sizes["wide"] = sizes["mean_nm_high"] - sizes["mean_nm"]
    table = density[["frame", "time_s", "dose_dpa", "defect_type", *DENSITY]].merge(
        sizes[["frame", "defect_type", "mean_nm", "mean_error_nm", "wide"]],
        on=["frame", "defect_type"], how="left",
    )  # fmt: skip
    of_type = tables.detections.groupby("defect_type")["diameter_nm"]
    table["mean_nm"] = table["mean_nm"].fillna(table["defect_type"].map(of_type.mean()))
    table["mean_error_nm"] = table["mean_error_nm"].fillna(table["defect_type"].map(of_type.std()))
    quantile = special.stdtrit((of_type.count() - 1).clip(lower=1), (1 + level) / 2)
    usual = table["defect_type"].map(of_type.std() * quantile)
    table["wide"] = table["wide"].where(np.isfinite).fillna(usual).fillna(0.0)
    return table


class Hardening(Analysis):
    """Hardening by each defect type, and by all, against dose, with its limits."""

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
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        table = hardening_table(tables, self.options, scores, by_type=by_type)
        if table["hardening_mpa"].isna().all():
            return []
        groups = {str(name): rows for name, rows in table.groupby("defect_type")}
        figure, numbers = self._drawn(groups, tables.frames)
        note = self._note(tables, groups)
        return [Finding("hardening", "Dispersed-barrier hardening", table, figure, numbers, note)]

    def _drawn(
        self, groups: Mapping[str, pd.DataFrame], frames: pd.DataFrame
    ) -> tuple[Figure, tuple[KeyNumber, ...]]:
        """Return the course of the hardening by each type, and what it is at the end."""
        figure, (panel,) = new_figure()
        styles = series_styles(_single(groups), self.runtime.defect_types)
        if ALL_TYPES in groups:
            styles[ALL_TYPES] = SeriesStyle("All types", "black")
        series = SeriesPanel(panel, frames, "95 % limits", types=len(groups))
        numbers = []
        for name, style in styles.items():
            own = groups[name].dropna(subset=["hardening_mpa"])
            y, low, high = (
                own[f"hardening_mpa{end}"].to_numpy(float) for end in ("", "_low", "_high")
            )
            series.draw(own, y, low, high, style)
            if len(y):
                where = series.axis.where(own["frame"].iloc[-1], "in the last frame")
                by = ALL_TYPES if name == ALL_TYPES else f"{style.title.lower()}s"
                text = f"Hardening by {by} {where}"
                limits = (low[-1], high[-1]) if np.isfinite(high[-1]) else (None, None)
                numbers.append(KeyNumber(text, y[-1], "MPa", *limits))
        panel.set_ylabel("Hardening (MPa)")
        panel.set_ylim(bottom=0)
        series.legend()
        return figure, tuple(numbers)

    def _note(self, tables: Tables, groups: Mapping[str, pd.DataFrame]) -> str:
        """Return how the total is made, and what the hardening is corrected for."""
        scores = self.options.scores(tables.detector_scores)
        by_type = self.options.scores_by_type(tables.detector_scores_by_type)
        source, single = self.options.source(tables), _single(groups)
        uncut = "Densities are corrected for what the rim cuts."
        total = f"Hardening by all types is {TOTALS[self.options.superposition]}."
        notes = (total if ALL_TYPES in groups else "", self._not_found(single),
                 uncut if self.options.edges == "uncut" else "",
                 detector_note(scores, source, by_type=by_type, names=single),
                 detector_note(scores, source, for_counts=False, by_type=by_type, names=single),
                 cut_note(tables.detections[counted_fields(tables).hold(tables.detections)]),
                 field_note(tables))  # fmt: skip
        return " ".join(filter(None, notes))

    def _not_found(self, names: Sequence[str]) -> str:
        """Return which strengths were given in vain, as where a type is misspelt."""
        known = ["*", *names]
        vain = [name for name in self.options.strength if name not in known]
        if not vain:
            return ""
        meant = did_you_mean(vain[0], known) if len(vain) == 1 else ""
        return f"hardening.strength names types that were not found: {', '.join(vain)}{meant}."

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        if tables.calibration.pixel_size_nm is None:
            return "the pixel size is not known"
        if tables.calibration.thickness_nm is None:
            return "the foil thickness is not known, which a number density needs"
        if tables.detections.empty:
            return "nothing was found"
        return "no sizes were measured; choose a post-processor for the run"


def _single(names: Iterable[str]) -> list[str]:
    """Return the names of single types, without that of all."""
    return [name for name in names if name != ALL_TYPES]
