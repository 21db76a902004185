"""Swelling by cavities: their volumes, its limits, and what is counted for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Tables
from defectscope.analysis.counting import poisson_limits
from defectscope.analysis.defect_classes import DefectClasses, class_table
from defectscope.analysis.swelling import Swelling, sphere_volumes, swelling_of, swelling_table
from defectscope.plugins.testing import AnalysisConformance

LOOP = ("dislocation-loop", 10.0)


class TestSwelling(AnalysisConformance):
    component = Swelling


def test_swelling_by_hand():
    # A sphere of 10 nm is 523.6 nm³ of 100 · 100 · 50 nm³.
    assert sphere_volumes(10.0) == pytest.approx(523.6, rel=1e-4)
    assert swelling_of(523.6, 5e5) == pytest.approx(523.6 / (5e5 - 523.6))
    assert swelling_of(0, 5e5) == 0
    assert np.isnan(swelling_of(6e5, 5e5))


def test_limits_of_swelling_hold_where_no_cavity_is_seen(make_tables, drawn):
    tables = make_tables({0: [("void", 10.0)] * 5, 1: []}, shape=(400, 400))
    (finding,) = Swelling().analyse(tables)
    seen, nothing = finding.table.to_dict("records")
    volume, foil = 523.599 * 7 / 4, 400**2 * 0.37197**2 * 75
    (few, many), (none, most) = (poisson_limits([n]) for n in (5, 0))
    assert seen["swelling_low"] == pytest.approx(float(swelling_of(few[0] * volume, foil)))
    assert seen["swelling_high"] == pytest.approx(float(swelling_of(many[0] * volume, foil)))
    assert (nothing["swelling"], nothing["swelling_low"], none[0]) == (0, 0, 0)
    assert nothing["swelling_high"] == pytest.approx(float(swelling_of(most[0] * volume, foil)))
    (number,) = finding.numbers
    assert (number.low, number.high) == (0, 100 * nothing["swelling_high"])
    drawn(finding)


def test_the_error_of_a_large_swelling_is_that_of_its_volume(make_tables):
    tables = make_tables({0: [("void", 20.0)] * 40}, shape=(200, 200))
    row = swelling_table(tables, ("void",)).iloc[0]
    volume, foil = sphere_volumes(20.0) * 7 / 4, 200**2 * 0.37197**2 * 75
    more = swelling_of((40 + 1e-3 * np.sqrt(40)) * volume, foil) - row["swelling"]
    assert row["swelling"] > 0.5
    assert row["swelling_error"] == pytest.approx(1e3 * float(more), rel=2e-3)


@pytest.mark.parametrize("analysis", [DefectClasses, Swelling])
def test_masked_parts_that_are_left_out_are_said(make_tables, analysis):
    tables = make_tables({0: [("void", 10.0)]}, shape=(100, 200))
    masked = np.zeros((100, 200), bool)
    masked[90:] = True
    (plain,) = analysis().analyse(tables)
    (part,) = analysis().analyse(Tables(**{**vars(tables), "masked": masked}))
    assert "Masked" not in plain.note
    assert part.note.endswith("Masked parts (10.0 %) are left out of the area.")


def test_cavities_without_a_diameter_are_as_large_as_the_others(make_tables):
    gone = ("void", np.nan)
    sizes = {0: [("void", 8.0), ("void", 12.0), gone, gone], 1: [gone], 2: [("void", 10.0)]}
    sizes[0] += [("bubble", 2.0), ("bubble", np.nan)]
    tables = make_tables(sizes, shape=(1000, 1000), calibration=Calibration(
        pixel_size_nm=1, thickness_nm=50, visible_fraction={"void": 0.5}))  # fmt: skip
    scores = {"precision": 0.8, "recall": 0.8}
    table = swelling_table(tables, ("void", "bubble"), scores)
    assert table["count"].tolist() == [6, 1, 1]
    first = sphere_volumes([8.0, 12.0])
    # In the second frame none is known: as those of all frames.
    usual = np.mean([*first, first.mean(), first.mean(), sphere_volumes(10.0)])
    volumes = np.array([8 * first.mean() + 2 * sphere_volumes(2.0), 2 * usual,
                        2 * sphere_volumes(10.0)])  # fmt: skip
    assert table["swelling"].tolist() == pytest.approx(swelling_of(volumes, 5e7).tolist())
    assert (table["swelling_error"] > 0).all()
    assert (table["swelling_high"] > table["swelling"]).all()
    (whole,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 4}))
    (part,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 3 + [gone]}))
    pd.testing.assert_frame_equal(part.table, whole.table)
    nothing = make_tables({0: [gone, LOOP]})
    assert Swelling().analyse(nothing) == []
    assert Swelling().why_nothing(nothing).startswith("no sizes were measured")


def test_cavities_that_the_rim_cuts_have_no_volume_of_their_own(make_tables):
    sizes = [("void", 10.0)] * 3 + [("void", 2.0), ("black dot", 2.0)]
    tables = make_tables({0: sizes})
    cut = tables.detections["diameter_nm"] == 2
    detections = tables.detections.assign(at_rim=cut.astype(int), fit=1 - cut.astype(int))
    (part,) = Swelling().analyse(Tables(**{**vars(tables), "detections": detections}))
    (whole,) = Swelling().analyse(make_tables({0: [("void", 10.0)] * 4}))
    pd.testing.assert_frame_equal(part.table, whole.table)
    assert part.note.startswith("Sizes leave out 1 defect of which the rim")


def test_swelling_is_drawn_for_cavities_only(make_tables, drawn):
    tables = make_tables({0: [("void", 10.0), ("dislocation-loop", 50.0)], 1: []}, shape=(100, 100))
    (finding,) = Swelling().analyse(tables)
    volume = 1e4 * 0.37197**2 * 75
    expected = np.pi / 6 * 1000 * 7 / 4
    assert finding.table["swelling"].tolist() == pytest.approx([expected / (volume - expected), 0])
    drawn(finding)
    assert Swelling().analyse(make_tables({0: [("dislocation-loop", 10.0)]})) == []


def test_swelling_and_types_hold_what_is_known_of_the_detector(make_tables):
    sizes = [("void", 8.0), ("void", 12.0), ("void", 10.0), ("black dot", 4.0)]
    tables = make_tables({0: sizes}, shape=(1000, 1000))
    scores = {"precision": 0.8, "recall": 0.5, "recall_error": 0.05}
    known = Tables(**{**vars(tables), "detector_scores": scores, "detector_source": "as said"})
    (bare,), (finding,) = Swelling().analyse(tables), Swelling().analyse(known)
    swelling, error = finding.table[["swelling", "swelling_error"]].iloc[0]
    assert swelling == pytest.approx(1.6 * bare.table["swelling"].iloc[0], rel=1e-3)
    volumes = np.pi / 6 * np.array([8.0, 12, 10]) ** 3 * 7 / 4
    parts = (np.sqrt((volumes**2).sum()), volumes.sum() * 0.1,
             3 * volumes.std(ddof=1) * np.hypot(0.2, 0.5))  # fmt: skip
    foil = 1e6 * 0.37197**2 * 75
    left = foil - 1.6 * volumes.sum()
    assert error == pytest.approx(1.6 * np.linalg.norm(parts) * foil / left**2)
    assert "multiplied by 1.600" in finding.note
    assert "Errors of mean volumes hold 0.539 times the spread" in finding.note
    row = class_table(known, scores=scores).set_index("defect_type").loc["void"]
    plain = class_table(known).set_index("defect_type").loc["void"]
    assert row["mean_error_nm"] == pytest.approx(2 * np.sqrt(1 / 3 + 0.2**2 + 0.5**2))
    wide = 1.96 * np.sqrt(0.75 * 0.25) * np.hypot(0.2, 0.5)
    expected = np.hypot(0.75 - plain["fraction_low"], wide)
    assert row["fraction_low"] == pytest.approx(0.75 - expected, rel=1e-3)
    assert row["fraction_high"] == 1
    (types,) = DefectClasses().analyse(known)
    assert "Errors of fractions and mean sizes hold 0.539" in types.note
    assert types.table["mean_error_nm"].tolist()[1] == row["mean_error_nm"]
    assert DefectClasses().analyse(tables)[0].note == ""
