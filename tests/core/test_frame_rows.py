"""Rows of one frame as arrays, and their way into tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.calibration import Calibration
from defectscope.core.frame_rows import FrameRows, joined_columns, joined_table
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.core.tables import (
    DETECTION_COLUMNS,
    GEOMETRY_COLUMNS,
    detection_table,
    empty_table,
    geometry_columns,
)

FRAME = Frame(np.arange(400, dtype=np.uint8).reshape(20, 20) // 2, 7, Calibration(pixel_size_nm=2))
FOUND = Instances(
    (20, 20),
    [[0, 0, 4, 4], [5, 5, 9, 9], [10, 10, 14, 14]],
    defect_types="loop",
    lines=[[(0, 0), (1, 1)], [], [(10, 10), (11, 11), (12, 12)]],
    measurements={"major_px": [4.0, 5.0, 6.0], "minor_px": [3.0, 3.0, 3.0]},
    units={"major_px": "px", "minor_px": "px"},
)


@pytest.fixture
def rows():
    return FrameRows.of(FRAME, FOUND, {})


def test_they_become_the_tables_that_the_instances_give(rows):
    table = joined_table([rows.detections], DETECTION_COLUMNS)
    pd.testing.assert_frame_equal(table, detection_table(FRAME, FOUND, {}))
    vertices = joined_table([rows.geometry], GEOMETRY_COLUMNS)
    pd.testing.assert_frame_equal(vertices, pd.DataFrame(geometry_columns(FRAME, FOUND)))
    assert len(rows) == 3
    np.testing.assert_array_equal(rows.boxes, FOUND.boxes)


def test_without_lines_there_are_no_vertices():
    rows = FrameRows.of(FRAME, Instances.empty((20, 20)), {})
    assert len(rows) == 0
    assert rows.boxes.shape == (0, 4)
    table = joined_table([rows.geometry], GEOMETRY_COLUMNS)
    pd.testing.assert_frame_equal(table, empty_table(GEOMETRY_COLUMNS))


def test_rows_that_stay_are_numbered_from_0_with_their_vertices(rows):
    left = rows[np.array([False, True, True])]
    assert left.detections["detection"].tolist() == [0, 1]
    assert left.detections["x_min"].tolist() == [5, 10]
    assert left.geometry["detection"].tolist() == [1, 1, 1]
    assert left.geometry["x"].tolist() == [10, 11, 12]
    assert len(rows[np.zeros(3, bool)].geometry["x"]) == 0


def test_numbers_in_another_order_stay_with_their_vertices(rows):
    turned = FrameRows(
        7, {name: column[::-1] for name, column in rows.detections.items()}, rows.geometry
    )
    left = turned[np.array([True, True, False])]
    assert left.detections["x_min"].tolist() == [10, 5]
    assert left.geometry["detection"].tolist() == [0, 0, 0]


def test_more_rows_are_numbered_on(rows):
    more = {name: column[:1] for name, column in rows.detections.items()}
    longer = rows.extended(more, [np.array([[0, 3.5, 4.5]])])
    assert longer.detections["detection"].tolist() == [0, 1, 2, 3]
    assert longer.outline(3).tolist() == [[0, 3.5, 4.5]]
    assert longer.outline(2)[:, 1].tolist() == [10, 11, 12]


def test_a_column_that_a_part_lacks_is_unknown_there():
    joined = joined_columns([{"a": np.array([1, 2])}, {"a": np.array([3]), "b": np.array([0.5])}])
    assert joined["a"].tolist() == [1, 2, 3]
    assert np.isnan(joined["b"]).tolist() == [True, True, False]


def test_parts_without_rows_do_not_decide_about_types():
    table = joined_table([{"n": np.zeros(0)}, {"n": np.array([1, 2])}], {})
    assert table["n"].dtype == np.int64
    assert list(joined_table([{"n": np.zeros(0)}, {"n": np.zeros(0)}], {})) == ["n"]
    assert joined_table([], {"n": "int64"})["n"].dtype == np.int64


def test_text_that_a_part_lacks_is_no_word():
    text = {"frame": np.zeros(1), "grade": np.array(["a"])}
    joined = joined_columns([text, {"frame": np.ones(1)}])["grade"]
    assert joined[0] == "a"
    assert np.isnan(joined[1])
