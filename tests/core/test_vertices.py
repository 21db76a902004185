"""Courses of lines out of a table of vertices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from defectscope.core.vertices import lines_by_detection, lines_by_frame

COLUMNS = ["frame", "detection", "vertex", "x", "y"]


def test_rows_in_any_order_give_each_line_its_course():
    rows = [(7, 1, 0, 1.0, 2.0), (7, 0, 1, 5.0, 6.0), (7, 0, 0, 3.0, 4.0), (2, 0, 0, 9.0, 8.0)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    lines = lines_by_detection(table)
    assert list(lines) == [(2, 0), (7, 0), (7, 1)]
    np.testing.assert_array_equal(lines[7, 0], [[3, 4], [5, 6]])
    np.testing.assert_array_equal(lines[7, 1], [[1, 2]])


def test_no_vertices_give_no_lines():
    table = pd.DataFrame({name: [] for name in COLUMNS})
    assert lines_by_detection(table) == {}
    assert lines_by_frame(table) == {}


def test_many_lines_are_those_of_the_table_one_by_one(monkeypatch):
    rng = np.random.default_rng(4)
    lengths = rng.integers(1, 6, 80)
    table = pd.DataFrame(
        {
            # A line may have the number of the last one of the frame before.
            "frame": np.repeat(np.arange(80) // 4, lengths),
            "detection": np.repeat([3, 0, 3, 1] * 20, lengths) + np.repeat([0, 1] * 40, lengths),
            "vertex": np.concatenate([np.arange(k) for k in lengths]),
            "x": rng.uniform(0, 90, lengths.sum()),
            "y": rng.uniform(0, 90, lengths.sum()),
        }
    ).sample(frac=1, random_state=2)
    ordered = table.sort_values(["frame", "detection", "vertex"], kind="stable")
    expected = {key: rows[["x", "y"]] for key, rows in ordered.groupby(["frame", "detection"])}
    # A table for each line costs milliseconds.
    monkeypatch.setattr(pd.DataFrame, "groupby", None)
    lines, of_frames = lines_by_detection(table), lines_by_frame(table)
    assert list(lines) == list(expected)
    for (frame, detection), rows in expected.items():
        np.testing.assert_array_equal(lines[frame, detection], rows)
        np.testing.assert_array_equal(of_frames[frame][detection], rows)
    assert sum(map(len, of_frames.values())) == len(expected)
