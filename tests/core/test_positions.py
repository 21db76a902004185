"""Which columns are positions, along which axis, and in which unit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.positions import position_columns


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_twins_in_nm_are_positions_of_the_pixel_size(kind):
    table = kind({
        "frame": np.array([3, 3]), "x": np.array([1.0, 2.0]), "y_max": np.array([4.0, 5.0]),
        "start_y_px": np.array([0.0, np.nan]), "start_y_nm": np.array([0.0, np.nan]),
        "end_x_px": np.array([9.0, 1.0]), "length_px": np.array([30.0, np.nan]),
        "length_nm": np.array([6.0, np.nan]), "tip_x_nm": np.array([1.0, 1.0]),
    })  # fmt: skip
    assert position_columns(table) == {
        "x": (0, 1), "y_max": (1, 1), "start_y_px": (1, 1), "end_x_px": (0, 1),
        "start_y_nm": (1, 0.2),
    }  # fmt: skip


def test_where_no_row_tells_the_pixel_size_there_are_none_in_nm():
    for values in ([], [np.nan]):
        table = {"end_x_px": np.array(values), "end_x_nm": np.array(values)}
        assert position_columns(table) == {"end_x_px": (0, 1)}
