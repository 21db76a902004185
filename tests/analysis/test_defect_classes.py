"""Defect types side by side."""

from __future__ import annotations

import pytest

from defectscope import Calibration, Runtime
from defectscope.analysis.defect_classes import DefectClasses, class_table
from defectscope.analysis.density import NumberDensity
from defectscope.analysis.hardening import (
    Hardening,
)
from defectscope.analysis.sizes import SizeDistribution
from defectscope.analysis.swelling import Swelling
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance


class TestDefectClasses(AnalysisConformance):
    component = DefectClasses


def test_the_table_of_p3(make_tables, drawn):
    dots, loops = [("black dot", size) for size in (4.0, 6.0)], [("a<100> loop", 20.0)] * 6
    tables = make_tables({0: dots + loops, 1: []}, shape=(100, 200))
    table = class_table(tables).set_index("defect_type")
    assert table["count"].to_dict() == {"black dot": 2, "a<100> loop": 6}
    assert table["fraction"].to_dict() == {"black dot": 0.25, "a<100> loop": 0.75}
    # Wilson's limits of 2 in 8, from a table.
    assert table.loc["black dot", "fraction_low"] == pytest.approx(0.0715, abs=2e-4)
    assert table.loc["black dot", "fraction_high"] == pytest.approx(0.5907, abs=2e-4)
    assert table.loc["black dot", "mean_nm"] == 5
    assert table.loc["black dot", "standard_error_nm"] == pytest.approx(1)
    area = 2 * 100 * 200 * (0.37197e-9) ** 2 * 4 / 7
    assert table.loc["a<100> loop", "areal_density_per_m2"] == pytest.approx(6 / area)
    types = {kind.name: kind for kind in SHIPPED}
    (finding,) = DefectClasses(None, Runtime(defect_types=types)).analyse(tables)
    drawn(finding)


@pytest.mark.parametrize("analysis", [Hardening, Swelling, NumberDensity, SizeDistribution])
def test_numbers_of_unrelated_images_name_the_image(make_tables, analysis):
    tables = make_tables({0: [("void", 10.0)] * 3, 1: [("void", 8.0)] * 3}, shape=(400, 400))
    number = analysis().analyse(tables)[0].numbers[-1]
    assert "in the last frame" in number.label or "in frame 1" in number.label
    tables.frames.loc[1, "width_px"] = 500
    number = analysis().analyse(tables)[0].numbers[-1]
    assert "in Frame1.jpg, one of 2 unrelated images" in number.label
    assert "frame " not in number.label


def test_fractions_of_types_that_are_not_equally_visible(make_tables):
    sizes = {0: [("void", 10.0)] * 2 + [("black dot", 4.0)] * 6}
    (same,) = DefectClasses().analyse(make_tables(sizes))
    assert "true_fraction" not in same.table
    known = Calibration(visible_fraction={"void": 0.25, "*": 0.75})
    (finding,) = DefectClasses().analyse(make_tables(sizes, calibration=known))
    assert finding.table["fraction"].tolist() == [0.75, 0.25]
    assert finding.table["true_fraction"].tolist() == [0.5, 0.5]
    assert finding.note.startswith("Fractions are of those found")
    assert finding.figure.axes[0].get_ylabel() == "Fraction of those found"


def test_a_million_defects_of_one_type_are_all_of_them(drawn):
    from defectscope.analysis.defect_classes import _wilson

    for number in (1, 3, 999_983, 1_000_000):
        low, high = _wilson(number, number, 0.95)
        assert low < 1 == high
        assert _wilson(0, number, 0.95)[0] == 0
