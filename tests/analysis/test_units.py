"""Columns of the tables behind figures bear their units, whatever the calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.diffusion import Diffusion
from defectscope.analysis.growth import Growth
from defectscope.analysis.scales import unit_names


def test_units_follow_the_quantity():
    units = {"rate": "nm/dpa", "d_eff": "nm²/s", "size_low": "px", "tau": "frame"}
    names = unit_names(["particle", "rate", "rate_low", "d_eff_error", "size_low", "tau"], units)
    assert names == {
        "rate": "rate_nm_per_dpa", "rate_low": "rate_nm_per_dpa_low",
        "d_eff_error": "d_eff_nm2_per_s_error", "size_low": "size_low_px", "tau": "tau_frames",
    }  # fmt: skip


def tracked(make_tables, unit, calibration):
    """Loops that grow by 0.01 of their unit a frame and wander."""
    rng = np.random.default_rng(0)
    rows = [
        {"frame": k, "particle": p, "x": 50 + rng.normal(), "y": 50 + rng.normal(),
         "defect_type": "dislocation-loop",
         f"diameter_{unit}": 5 + p + 0.01 * k + rng.normal(0, 0.1),
         "time_s": calibration.time_s(k), "dose_dpa": calibration.dose_dpa(k)}
        for p in range(4) for k in range(20)
    ]  # fmt: skip
    tracks = pd.DataFrame(rows)
    return make_tables({k: [] for k in range(20)}, tracks=tracks, calibration=calibration)


KNOWN = Calibration(
    pixel_size_nm=0.5, frame_interval_s=2.0, dose_start_dpa=1.0, dose_per_frame_dpa=0.01
)


@pytest.mark.parametrize(
    ("calibration", "length", "axis", "time"),
    [(KNOWN, "nm", "dpa", "s"), (Calibration(), "px", "frame", "frame")],
)
def test_every_quantity_of_tracks_has_its_unit(make_tables, calibration, length, axis, time):
    tables = tracked(make_tables, length, calibration)
    found = {f.name: f.table for a in (Growth, Diffusion) for f in a().analyse(tables)}
    rate = f"rate_{length}_per_{axis}"
    assert list(found["growth-rates"]) == [
        "particle", "sightings", f"mean_size_{length}", rate, f"{rate}_error", f"{rate}_low",
        f"{rate}_high",
    ]  # fmt: skip
    assert found["growth-rates"][rate].mean() == pytest.approx(
        1.0 if axis == "dpa" else 0.01, rel=1
    )
    ends = "frames" if axis == "frame" else axis
    laws = set(found["growth-laws"])
    assert {
        f"d0_{length}", f"d0_{length}_error", f"k_{length}_per_{axis}", f"d0_squared_{length}2",
        f"k_{length}2_per_{axis}_error", f"d_infinity_{length}", f"tau_{ends}",
        f"rise_{length}", f"residual_{length}",
        {"dpa": "start_dose_dpa", "s": "start_time_s"}.get(axis, "start_frame"),
    } <= laws  # fmt: skip
    d = f"d_eff_{length}2_per_{time}"
    assert list(found["diffusion-by-size"]) == [
        f"size_low_{length}", f"size_high_{length}", "particles", d, f"{d}_error",
    ]  # fmt: skip
    assert {d, f"median_size_{length}"} <= set(found["diffusion-of-tracks"])
    curve = found["mean-squared-displacement"]
    assert {"lag_frames", f"msd_{length}2", f"msd_{length}2_error"} <= set(curve)
    if time == "s":
        np.testing.assert_allclose(curve["lag_s"], 2.0 * curve["lag_frames"])
    else:
        assert "lag_s" not in curve


def test_the_rate_of_a_square_is_not_that_of_a_length(make_tables):
    laws = Growth().analyse(tracked(make_tables, "nm", KNOWN))[0].table.set_index("law")
    assert laws.loc[["parabolic"], "k_nm_per_dpa"].isna().all()
    assert laws.loc[["linear"], "k_nm2_per_dpa"].isna().all()
