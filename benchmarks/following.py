"""Following loops in simulated sequences whose truth is known.

    python benchmarks/following.py [--sequences 100] [--scored 5]

Prints MOTA and IDF1 of each tracker, in how many of the sequences the 95 % intervals of D, growth
rate and density hold the truth, and what a jump of the stage of 100 px does to the density.
Detections are spoilt by 10 % misses in bursts of 1 to 8 frames, 10 % false ones, and 1 px jitter.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from simulated_loops import Recipe, Simulated, simulate, spoilt

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.density import density_table
from defectscope.analysis.diffusion import ensemble_msd
from defectscope.analysis.growth_fits import growth_rates, mean_rate
from defectscope.analysis.scales import scale_of, sighted
from defectscope.core.tracking_metrics import tracking_scores
from defectscope.plugins.host import default_host

TRACKERS: dict[str, dict[str, object]] = {
    "trackpy": {},
    "loops": {"search_range_px": 8.0},
    "laptrack": {"search_range_px": 8.0, "max_gap": 8, "min_length": 3, "fill_gaps": True},
}


def sequence(recipe: Recipe, seed: int) -> tuple[Simulated, pd.DataFrame]:
    """Return the truth and the detections of a sequence."""
    rng = np.random.default_rng(seed)
    drawn = simulate(recipe, rng)
    return drawn, spoilt(drawn.truth, rng, recipe.width_px, recipe.height_px)


def linked(name: str, detections: pd.DataFrame) -> pd.DataFrame:
    """Return what a tracker makes of detections."""
    tracker = default_host().build("trackers", name, TRACKERS[name], Runtime())
    with tracker:
        table: pd.DataFrame = tracker.link(detections)
    return table


def frame_table(recipe: Recipe, shifts: np.ndarray | None = None) -> pd.DataFrame:
    """Return the frames of a run."""
    table = pd.DataFrame(
        {"frame": range(recipe.frames), "time_s": np.nan, "dose_dpa": np.nan,
         "width_px": recipe.width_px, "height_px": recipe.height_px, "status": "ok"}
    )  # fmt: skip
    if shifts is not None:
        table["drift_x_px"], table["drift_y_px"] = shifts.T
    return table


def score(recipe: Recipe, sequences: int) -> None:
    """Print the scores of each tracker."""
    for name in TRACKERS:
        found = []
        for seed in range(1000, 1000 + sequences):
            drawn, detections = sequence(recipe, seed)
            tracks = linked(name, detections)
            found.append(tracking_scores(tracks, drawn.truth, cut_off_iou=0.3))
        mota, idf1 = ([s[key] for s in found] for key in ("mota", "idf1"))
        print(
            f"{name:9s} MOTA {np.mean(mota):.3f} (least {min(mota):.3f}), "
            f"IDF1 {np.mean(idf1):.3f} (least {min(idf1):.3f}), identity switches "
            f"{np.mean([s['id_switches'] for s in found]):.1f}, {sequences} sequences"
        )


def intervals(recipe: Recipe, seed: int) -> dict[str, tuple[float, float, float]]:
    """Return truth and limits of D, growth rate and density."""
    detections = sequence(recipe, seed)[1]
    rows = sighted(linked("loops", detections))
    rows = rows[rows.groupby("particle")["frame"].transform("size") >= 10]
    fit = ensemble_msd(rows, 20, scale_of(Calibration()))
    assert fit is not None
    rate = mean_rate(growth_rates(rows, "frame", "diameter_px", 10))
    calibration = Calibration(pixel_size_nm=0.372, thickness_nm=75)
    tables = Tables(frame_table(recipe), detections, None, None, calibration)
    # What a detector's card would say: one in ten missed, one in eleven found invented.
    scores = {"precision": 0.9 / 1.0, "recall": 0.9}
    middle = density_table(tables, scores=scores).iloc[recipe.frames // 2]
    volume_m3 = recipe.width_px * recipe.height_px * 0.372**2 * 75 * 1e-27
    density = "number_density_per_m3"
    return {
        "D": (recipe.diffusion, fit.d_low, fit.d_high),
        "growth rate": (recipe.growth, rate.low, rate.high),
        "density": (
            recipe.loops / volume_m3, middle[f"{density}_low"], middle[f"{density}_high"]
        ),
    }  # fmt: skip


def coverage(recipe: Recipe, sequences: int) -> None:
    """Print how often the intervals hold the truth, how wide and how far off they are."""
    found = [intervals(recipe, seed) for seed in range(sequences)]
    for name in found[0]:
        truth, low, high = np.array([f[name] for f in found]).T
        held = int(((low <= truth) & (truth <= high)).sum())
        wide, off = (high - low) / 2 / truth, (low + high) / 2 / truth - 1
        print(
            f"{name:12s} limits hold the truth in {held} of {sequences}; half width "
            f"{np.mean(wide):.1%}, middle off by {np.mean(off):+.1%}"
        )


def jump(recipe: Recipe) -> None:
    """Print what a jump does to the density, with the stage's shifts known and unknown."""
    drawn, detections = sequence(recipe, 7)
    rows = linked("loops", detections)
    for text, shifts in (("registered", drawn.shifts), ("not registered", None)):
        tables = Tables(frame_table(recipe, shifts), rows, None, None, Calibration())
        table = density_table(tables)
        density = (table["count"] / table["area_px"]).to_numpy()
        at = recipe.jump_frame or 0
        change = density[at : at + 5].mean() / density[at - 5 : at].mean() - 1
        print(f"density after a jump of {recipe.jump_px:g} px, {text}: {change:+.1%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument("--scored", type=int, default=5)
    arguments = parser.parse_args()
    score(Recipe(), arguments.scored)
    jump(Recipe(jump_frame=100))
    coverage(Recipe(frames=100), arguments.sequences)


if __name__ == "__main__":
    main()
