"""Rows between two sightings."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.frame_rows import FrameRows
from defectscope.core.gap_filling import Gap, rows_between


def rows(frame, outline=None, **changes):
    values = {
        "detection": 0, "defect_type": "loop", "score": 0.5, "origin": "detector", "time_s": 1.0,
        "x": 5.0, "y": 5.0, "x_min": 0.0, "y_min": 0.0, "x_max": 10.0, "y_max": 10.0,
    } | changes  # fmt: skip
    columns = {"frame": np.array([frame])} | {
        name: np.array([v], object if isinstance(v, str) else None) for name, v in values.items()
    }
    if outline is None:
        return FrameRows(frame, columns)
    k = len(outline)
    geometry = {
        "frame": np.full(k, frame), "detection": np.zeros(k, int), "vertex": np.arange(k),
        "x": np.array(outline)[:, 0], "y": np.array(outline)[:, 1],
    }  # fmt: skip
    return FrameRows(frame, columns, geometry)


def between(frame, before, after):
    table, (outline,) = rows_between(frame, [Gap(before, 0, after, 0)])
    return {name: column[0] for name, column in table.items()}, outline


def test_boxes_centres_and_measurements_are_linear_in_the_frame():
    before = rows(10, x=5.0, x_min=0.0, major_px=8.0, major_nm=4.0, area_nm2=10.0, score=0.4)
    after = rows(14, x=9.0, x_min=6.0, major_px=12.0, major_nm=6.0, area_nm2=30.0, score=0.8)
    row, _ = between(11, before, after)
    assert row["x"] == 6.0
    assert row["x_min"] == 1.5
    assert row["major_px"] == 9.0
    assert row["major_nm"] == 4.5
    assert row["area_nm2"] == 15.0
    assert row["score"] == pytest.approx(0.5)
    assert row["frame"] == 11
    assert row["origin"] == "interpolated"
    assert row["defect_type"] == "loop"


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(10, 20, 15), (170, 10, 0), (5, 175, 0), (80, 100, 90)]
)
def test_angles_go_the_shorter_way_round(first, second, expected):
    row, _ = between(2, rows(1, angle_deg=float(first)), rows(3, angle_deg=float(second)))
    assert row["angle_deg"] % 180 == pytest.approx(expected)


def test_names_and_flags_are_those_of_the_nearest_sighting():
    before = rows(1, fit=1.0, at_rim=True, note="a", contrast=3.0, order=1)
    after = rows(4, fit=0.0, at_rim=False, note="b", contrast=6.0, order=2)
    first, _ = between(2, before, after)
    assert (first["fit"], first["at_rim"], first["note"], first["order"]) == (1.0, True, "a", 1)
    second, _ = between(3, before, after)
    assert (second["fit"], second["at_rim"], second["note"], second["order"]) == (0, False, "b", 2)
    assert first["contrast"] == 4.0


def test_the_earlier_of_two_sightings_that_are_equally_near():
    assert between(2, rows(1, note="a"), rows(3, note="b"))[0]["note"] == "a"


def test_what_one_side_does_not_know_is_not_made_up():
    nan = float("nan")
    before, after = rows(1, length_px=nan, depth_px=4.0), rows(4, length_px=7.0)
    assert np.isnan(between(2, before, after)[0]["length_px"])
    assert between(3, before, after)[0]["length_px"] == 7.0
    assert between(2, before, after)[0]["depth_px"] == 4.0


def test_the_outline_of_the_nearest_sighting_moves_with_the_centre():
    before = rows(1, [(1, 1), (9, 1), (9, 9)], x=5.0, y=5.0)
    after = rows(5, [(50, 50), (60, 60)], x=9.0, y=13.0)
    _, near = between(2, before, after)
    np.testing.assert_allclose(near, [(0, 2, 3), (1, 10, 3), (2, 10, 11)])
    _, late = between(4, before, after)
    np.testing.assert_allclose(late, [(0, 49, 48), (1, 59, 58)])


def test_without_outlines_there_are_none():
    assert between(2, rows(1), rows(3))[1].shape == (0, 3)
