"""Diffusion: its law and limits, drift, and sizes that the rim cuts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.diffusion import (
    Diffusion,
    _shared,
    by_size,
    effective_diffusion,
    ensemble_msd,
)
from defectscope.analysis.growth_fits import growth_rates, mean_rate
from defectscope.analysis.scales import Scale, scale_of
from defectscope.analysis.trajectories import speeds
from defectscope.plugins.testing import AnalysisConformance

PX = Scale(1.0, "px", 1.0, "frame")


def test_sizes_that_the_rim_cuts_are_none(make_tables):
    steps = np.random.default_rng(3).normal(0, 1, (2, 2, 12)).cumsum(axis=2)
    tracks = pd.concat(
        pd.DataFrame({"particle": k, "frame": range(12), "x": x, "y": y, "diameter_px": 8.0,
                      "at_rim": k, "fit": 1 - k, "interpolated": False, "origin": "detected"})
        for k, (x, y) in enumerate(steps)
    )  # fmt: skip
    found = {
        f.name: f for f in Diffusion().analyse(make_tables({}, indices=range(12), tracks=tracks))
    }
    table = found["diffusion-of-tracks"].table
    assert table[["particle", "median_size_px"]].to_numpy().tolist()[0] == [0, 8]
    assert np.isnan(table["median_size_px"][1])
    assert "Sizes leave out 12 sightings of which the rim" in found["diffusion-by-size"].note


def walked(make_tables, drift_px, localisation_px=0.0):
    rng = np.random.default_rng(7)
    rows = [
        pd.DataFrame({"particle": k, "frame": range(60), "x": x + drift_px * np.arange(60), "y": y})
        for k, (x, y) in enumerate(rng.normal(0, 0.3, (30, 2, 60)).cumsum(axis=2)
                                   + rng.normal(0, localisation_px, (30, 2, 60)))
    ]  # fmt: skip
    tables = make_tables({}, indices=range(60), tracks=pd.concat(rows))
    return {finding.name: finding for finding in Diffusion().analyse(tables)}


@pytest.mark.parametrize("localisation_px", [0.0, 0.5])
def test_a_drift_is_said_beside_the_diffusion_that_it_spoils(make_tables, localisation_px):
    name = "mean-squared-displacement"
    assert walked(make_tables, 0.0, localisation_px)[name].note == ""
    note = walked(make_tables, 0.3, localisation_px)[name].note
    assert "as of a stage that drifts, so that D is too large" in note


class TestDiffusion(AnalysisConformance):
    component = Diffusion


def test_d_comes_out_without_the_error_of_localisation(wandering):
    tracks = wandering()
    fit = ensemble_msd(tracks, 20, PX)
    assert fit.d_low < 0.2 < fit.d_high
    assert fit.d == pytest.approx(0.2, rel=0.1)
    assert fit.localisation == pytest.approx(0.5, rel=0.15)
    # P2's formula holds it: D + σ²/τ.
    table = effective_diffusion(tracks, 1, PX)
    assert table["d_eff"].mean() == pytest.approx(0.2 + 0.25, rel=0.05)
    assert effective_diffusion(tracks, 5, PX)["d_eff"].mean() == pytest.approx(0.25, rel=0.1)


def test_d_and_speed_under_a_step_are_those_of_all_frames(make_tables, wandering):
    every = wandering(frames=200, sigma=0.0)
    fifth = every[every["frame"] % 5 == 0]
    for tracks, frames in ((every, range(200)), (fifth, range(0, 200, 5))):
        tables = make_tables({}, indices=frames, tracks=tracks)
        nm = scale_of(tables.calibration)
        _, of_tracks, msd = Diffusion().analyse(tables)
        expected = 0.2 * nm.length**2 / nm.time
        assert of_tracks.table["d_eff_nm2_per_s"].mean() == pytest.approx(expected, rel=0.1)
        assert msd.numbers[0].value == pytest.approx(expected, rel=0.1)
        assert msd.table["lag_frames"].iloc[1] == 2 * frames.step
        rates = growth_rates(tracks.sort_values(["particle", "frame"]), "frame", "diameter_px")
        assert mean_rate(rates).rate == pytest.approx(0.05, rel=0.05)
    steady = pd.DataFrame({"frame": np.arange(0, 50, 5), "particle": 0, "x": np.arange(10.0) * 15})
    assert speeds(steady.assign(y=0.0))["speed_px_per_frame"].tolist() == [3]


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("lag", [1, 4, 10])
def test_the_error_of_d_eff_is_what_it_varies_by(lag, sigma, wandering):
    # Steps over several frames overlap: taken as independent, the error at 10 was a third of this.
    tracks = wandering(count=600, sigma=sigma)
    table = effective_diffusion(tracks, lag, PX)
    said = np.sqrt((table["d_eff_error"] ** 2).mean())
    assert said == pytest.approx(table["d_eff"].std(), rel=0.2)


def test_the_error_of_d_eff_is_that_of_qian_for_a_track_without_gaps():
    # Their relative variance of a mean of K steps of n in two dimensions, n ≤ K.
    n, k = 10, 50
    (share,) = _shared(np.array([k]), n, 0.0)
    assert share == pytest.approx((4 * n**2 * k + 2 * k + n - n**3) / (6 * n * k**2))
    assert _shared(np.array([k]), 1, 0.0).tolist() == [1 / k]


def test_units_of_d_are_those_of_the_calibration(wandering):
    nm = scale_of(Calibration(pixel_size_nm=0.5, frame_interval_s=2.0))
    assert nm == Scale(0.5, "nm", 2.0, "s")
    plain, scaled = (ensemble_msd(wandering(), 10, scale).d for scale in (PX, nm))
    assert scaled == pytest.approx(plain * 0.25 / 2)


def test_the_limits_of_d_and_rate_hold_the_truth_as_often_as_they_say(wandering):
    held_d = held_rate = 0
    for seed in range(60):
        tracks = wandering(seed, count=25, frames=40)
        fit = ensemble_msd(tracks, 15, PX)
        held_d += fit.d_low <= 0.2 <= fit.d_high
        mean = mean_rate(growth_rates(tracks.sort_values(["particle", "frame"]), "frame",
                                      "diameter_px"))  # fmt: skip
        held_rate += mean.low <= 0.05 <= mean.high
    # 95 % of 60 are 57; fewer than 51 come by chance once in a thousand.
    assert held_d >= 51
    assert held_rate >= 51


def test_p2s_formula_by_hand():
    tracks = pd.DataFrame({"frame": [0, 1, 2, 4], "particle": 7, "x": [0.0, 3, 3, 9],
                           "y": [0.0, 4, 4, 9], "diameter_nm": [2.0, 2, 4, 8]})  # fmt: skip
    (row,) = effective_diffusion(tracks, 1, PX).to_dict("records")
    # Steps 0 to 1 and 1 to 2, none from 2 to 4: (25 + 0) / 4, halved.
    assert (row["particle"], row["steps"], row["d_eff"]) == (7, 2, 25 / 4 / 2)
    assert row["median_size"] == 3
    assert effective_diffusion(tracks, 2, PX)["d_eff"].tolist() == [(25 + 61) / 2 / 8]


def test_bins_of_size_hold_their_ends_and_leave_out_the_rest():
    table = pd.DataFrame({"median_size": [1.9, 2.0, 2.1, 18.0, 18.1], "d_eff": [9.0, 1, 3, 5, 9]})
    bins = by_size(table, 50, 2, 18)
    assert bins["particles"].tolist() == [2, 1]
    assert bins["d_eff"].tolist() == [2, 5]
    assert bins["size_low"].tolist() == pytest.approx([2, 17.68])
    assert np.isnan(bins["d_eff_error"].iloc[1])
