"""Growth of particles where the axis, or what was seen, tells little."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.defect_classes import class_table
from defectscope.analysis.diffusion import Diffusion
from defectscope.analysis.growth import Growth
from defectscope.analysis.growth_fits import growth_rates
from defectscope.analysis.scales import growth_axis


def growing(frames=10, rate=0.5):
    frame = np.arange(frames)
    return pd.DataFrame(
        {"frame": frame, "particle": 0, "x": 5.0 + 0.1 * (frame % 2), "y": 5.0,
         "diameter_nm": 20 + rate * frame, "time_s": 1.0 * frame, "defect_type": "dislocation-loop",
         "origin": "detector"}
    )  # fmt: skip


@pytest.mark.parametrize("dose", [0.1, 5.0])
def test_under_a_constant_dose_growth_is_against_time(make_tables, dose):
    calibration = Calibration(
        pixel_size_nm=1, frame_interval_s=1, dose_start_dpa=dose, dose_per_frame_dpa=0
    )
    tracks = growing().assign(dose_dpa=dose)
    tables = make_tables({k: [] for k in range(10)}, calibration=calibration, tracks=tracks)
    rates = next(f for f in Growth().analyse(tables) if "rate_nm_per_s" in f.table).table
    assert rates["rate_nm_per_s"].tolist() == [pytest.approx(0.5)]


def test_growth_is_not_against_a_dose_that_some_frames_lack(make_tables):
    tables = make_tables({k: [] for k in range(10)}, tracks=growing().assign(dose_dpa=0.1))
    tables.frames.loc[3:, "dose_dpa"] = np.nan
    assert growth_axis(tables) == ("time_s", "s")
    tables.frames.loc[3, "time_s"] = np.nan
    assert growth_axis(tables) == ("frame", "frame")


def test_a_particle_at_one_place_of_the_axis_has_no_rate():
    rows = growing().assign(dose_dpa=0.1)
    assert growth_rates(rows, "dose_dpa", "diameter_nm").empty


def test_one_particle_has_a_diffusion_coefficient_without_limits(make_tables):
    tables = make_tables({k: [] for k in range(10)}, tracks=growing())
    for finding in Diffusion().analyse(tables):
        for number in finding.numbers:
            assert all(end is None or np.isfinite(end) for end in (number.low, number.high))


def test_the_error_of_a_displacement_of_one_particle_is_not_known(make_tables, drawn):
    short = growing(6).assign(particle=1, x=lambda rows: 90 + 0.3 * rows["frame"] ** 2)
    tables = make_tables({k: [] for k in range(10)}, tracks=pd.concat([growing(), short]))
    finding = next(f for f in Diffusion().analyse(tables) if f.name == "mean-squared-displacement")
    alone = finding.table["particles"] == 1
    assert alone.tolist() == [lag > 5 for lag in range(1, 10)]
    errors = finding.table.filter(like="_error").iloc[:, 0]
    assert errors[alone].isna().all()
    assert (errors[~alone] > 0).all()
    drawn(finding)


def test_those_of_unknown_size_cover_as_much_as_the_others(make_tables):
    tables = make_tables({0: [("dislocation-loop", 10.0)] * 2 + [("dislocation", 1.0)]},
                         shape=(100, 200))  # fmt: skip
    known = [10.0, np.nan, np.nan]
    tables.detections["major_px"] = tables.detections["minor_px"] = known
    table = class_table(tables).set_index("defect_type")
    seen = 4 / 7
    expected = 2 * np.pi / 4 * 100 / (100 * 200) / seen
    assert table.loc["dislocation-loop", "area_fraction"] == pytest.approx(expected)
    assert np.isnan(table.loc["dislocation", "area_fraction"])
