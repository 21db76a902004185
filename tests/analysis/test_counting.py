"""Limits of counts and means."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.analysis.counting import detection_factor, mean_limits, poisson_limits
from defectscope.analysis.defect_classes import DefectClasses, class_table
from defectscope.analysis.sizes import size_table

LOOP = ("dislocation-loop", 10.0)


def test_limits_against_tables():
    low, high = poisson_limits([0, 1, 10])
    np.testing.assert_allclose(low, [0, 0.0253, 4.795], atol=1e-3)
    np.testing.assert_allclose(high, [3.689, 5.572, 18.39], atol=1e-2)
    assert detection_factor({}) == (1, 0)
    low, high = mean_limits(5.0, 1.0, 2)
    assert (high - 5) == pytest.approx(12.706, rel=1e-3)
    assert mean_limits(5.0, np.nan, 1)[1] == np.inf


def test_no_limit_of_a_mean_size_is_negative(make_tables):
    tables = make_tables({0: [("black dot", 2.0), ("black dot", 6.0), LOOP]})
    # Student's quantile for two, 12.706, times an error of 2.
    sizes = size_table(tables, "diameter_nm").set_index("defect_type").loc["black dot"]
    classes = class_table(tables).set_index("defect_type").loc["black dot"]
    for row in (sizes, classes):
        assert (row["mean_nm_low"], row["mean_nm_high"]) == (0, pytest.approx(4 + 25.41, abs=0.01))
    (finding,) = DefectClasses().analyse(tables)
    # One loop tells no limits, neither above nor below.
    assert [(n.low, n.high is None) for n in finding.numbers] == [(0, False), (None, True)]
