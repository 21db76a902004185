"""Courses of lines out of a table of vertices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from defectscope.core.vertices import lines_by_detection


def test_rows_in_any_order_give_each_line_its_course():
    rows = [(7, 1, 0, 1.0, 2.0), (7, 0, 1, 5.0, 6.0), (7, 0, 0, 3.0, 4.0), (2, 0, 0, 9.0, 8.0)]
    table = pd.DataFrame(rows, columns=["frame", "detection", "vertex", "x", "y"])
    lines = lines_by_detection(table)
    assert set(lines) == {(2, 0), (7, 0), (7, 1)}
    np.testing.assert_array_equal(lines[7, 0], [[3, 4], [5, 6]])
    np.testing.assert_array_equal(lines[7, 1], [[1, 2]])


def test_no_vertices_give_no_lines():
    table = pd.DataFrame({k: [] for k in ("frame", "detection", "vertex", "x", "y")})
    assert lines_by_detection(table) == {}
