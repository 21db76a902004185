from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.calibration import Calibration
from defectscope.core.particles import particle_table

ROWS = [
    # particle, frame, x, y, type, diameter
    (7, 480, 13.0, 4.0, "dot", 6.0),
    (2, 461, 10.0, 0.0, "loop", 5.0),
    (7, 462, 10.0, 0.0, "loop", 2.0),
    (7, 463, 10.5, 2.0, "dot", 9.0),
]


def tracks(rows=ROWS):
    names = ["particle", "frame", "x", "y", "defect_type", "diameter_nm"]
    return pd.DataFrame(rows, columns=names)


def test_one_row_a_particle():
    table = particle_table(tracks(), Calibration()).set_index("particle")
    assert table.index.tolist() == [2, 7]
    seven = table.loc[7]
    assert (seven["first_frame"], seven["last_frame"], seven["detections"]) == (462, 480, 3)
    assert seven["lifetime_frames"] == 480 - 462 + 1
    assert (seven["x"], seven["y"]) == (pytest.approx(33.5 / 3), 2)
    assert seven["displacement_px"] == 5
    assert seven["defect_type"] == "dot"
    assert seven["median_diameter_nm"] == 6


def test_seen_once_means_a_lifetime_of_one_frame():
    two = particle_table(tracks(), Calibration(frame_interval_s=1.75)).iloc[0]
    assert (two["lifetime_frames"], two["lifetime_s"], two["displacement_px"]) == (1, 1.75, 0)


def test_what_needs_an_unknown_calibration_is_left_out():
    plain = particle_table(tracks(), Calibration())
    assert "lifetime_s" not in plain
    assert "displacement_nm" not in plain
    full = particle_table(tracks(), Calibration(frame_interval_s=2, pixel_size_nm=0.5))
    assert full["lifetime_s"].tolist() == [2, 38]
    assert full["displacement_nm"].tolist() == [0, 2.5]


def test_the_order_of_rows_does_not_matter_and_they_stay():
    given_rows = tracks()
    before = given_rows.copy()
    first = particle_table(given_rows, Calibration())
    pd.testing.assert_frame_equal(given_rows, before)
    pd.testing.assert_frame_equal(first, particle_table(given_rows.iloc[::-1], Calibration()))


def test_foreign_tables_need_no_types_and_no_sizes():
    table = particle_table(tracks()[["particle", "frame", "x", "y"]], Calibration())
    assert "defect_type" not in table
    assert not [name for name in table if name.startswith("median")]
    assert table["lifetime_frames"].tolist() == [1, 19]


def test_an_empty_type_stays_empty():
    rows = tracks()
    rows["defect_type"] = [None, None, "loop", None]
    table = particle_table(rows, Calibration()).set_index("particle")
    assert pd.isna(table.loc[2, "defect_type"])
    assert table.loc[7, "defect_type"] == "loop"


def test_types_that_tie_go_by_name():
    table = particle_table(tracks(ROWS[2:]), Calibration())
    assert table["defect_type"].tolist() == ["dot"]


def test_both_diameters():
    rows = tracks().assign(diameter_px=[12.0, 10.0, np.nan, 18.0])
    table = particle_table(rows, Calibration())
    assert table["median_diameter_px"].tolist() == [10, 15]
    assert table["median_diameter_nm"].tolist() == [5, 6]


def test_nothing_tracked():
    table = particle_table(tracks([]), Calibration(frame_interval_s=1, pixel_size_nm=1))
    assert len(table) == 0
    assert {"particle", "lifetime_frames", "lifetime_s", "displacement_nm"} <= set(table)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, unique=True),
)
@settings(max_examples=50)
def test_lifetimes_are_last_minus_first_plus_one(seen):
    rows = tracks([(p, f, float(f), 0.0, "loop", 1.0) for p, f in seen])
    table = particle_table(rows, Calibration())
    expected = {p: [f for q, f in seen if q == p] for p, _ in seen}
    assert table["particle"].tolist() == sorted(expected)
    for row in table.to_dict("records"):
        frames = expected[row["particle"]]
        assert row["lifetime_frames"] == max(frames) - min(frames) + 1
        assert row["detections"] == len(frames)
        assert row["displacement_px"] == max(frames) - min(frames)
