"""Defects of which the rim of the frame left a part have no size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Tables
from defectscope.analysis.defect_classes import DefectClasses, class_table
from defectscope.analysis.growth import Growth
from defectscope.analysis.hardening import Hardening
from defectscope.analysis.sizes import SizeDistribution, size_table
from defectscope.analysis.whole_sizes import (
    cut_note,
    failed_note,
    with_fitted_sizes,
    with_whole_sizes,
)

LOOP = "dislocation-loop"
# Two whole loops, one that goes on beyond the rim, and one of which a bit was seen.
SIZES, AT_RIM, FIT = (10.0, 12.0, 14.0, 2.0), (0, 0, 1, 1), (1, 0, 1, 0)
SAID = "Sizes leave out 1 defect of"


def at_the_rim(make_tables):
    tables = make_tables({0: [(LOOP, size) for size in SIZES]})
    rows = tables.detections.assign(at_rim=AT_RIM, fit=FIT)
    return Tables(**{**vars(tables), "detections": rows})


@pytest.mark.parametrize("kind", [bool, float, object, "boolean"])
def test_the_size_of_a_visible_part_is_none(kind):
    rows = pd.DataFrame({"diameter_nm": SIZES, "diameter_px": SIZES, "at_rim": AT_RIM, "fit": FIT})
    found = with_whole_sizes(rows.astype({"at_rim": kind, "fit": kind}))
    for name in ("diameter_nm", "diameter_px"):
        assert found[name].isna().tolist() == [False, False, False, True]
    # Who says nothing of fits measured what was seen.
    assert with_whole_sizes(rows.drop(columns="fit"))["diameter_nm"].count() == 2
    plain = rows.drop(columns="at_rim")
    assert with_whole_sizes(plain) is plain
    assert cut_note(plain) == ""


@pytest.mark.parametrize("kind", [bool, float, object, "boolean"])
def test_along_a_track_the_size_of_a_box_is_none(kind):
    rows = pd.DataFrame({"diameter_nm": SIZES, "at_rim": AT_RIM, "fit": FIT})
    rows = rows.astype({"at_rim": kind, "fit": kind})
    assert with_fitted_sizes(rows)["diameter_nm"].isna().tolist() == [False, True, False, True]
    assert with_fitted_sizes(rows.drop(columns="at_rim"))["diameter_nm"].count() == 2
    # Each is named once: the one at the rim is the other note's.
    assert failed_note(rows).startswith("Sizes leave out 1 sighting of which the segmentation")
    plain = rows.drop(columns=["at_rim", "fit"])
    assert with_fitted_sizes(plain) is plain
    assert failed_note(plain) == ""


def test_means_quantiles_and_histograms_are_of_whole_defects(make_tables):
    tables = at_the_rim(make_tables)
    sizes, classes = size_table(tables, "diameter_nm").iloc[0], class_table(tables).iloc[0]
    assert (sizes["count"], classes["count"]) == (3, 4)
    assert sizes["mean_nm"] == classes["mean_nm"] == sizes["median_nm"] == 12
    distribution, *_, histogram = SizeDistribution().analyse(tables)
    assert distribution.numbers[0].value == 12
    assert histogram.table["count"].sum() == 3
    (types,), (hardening,) = (one().analyse(tables) for one in (DefectClasses, Hardening))
    assert hardening.table["mean_nm"].tolist() == [12]
    for finding in (distribution, types, hardening):
        assert SAID in finding.note


def test_particles_grow_while_they_are_whole(make_tables):
    frame = np.arange(12)
    size = 20 + 0.5 * frame
    rows = pd.DataFrame(
        {"frame": frame, "particle": 0, "x": 5.0, "y": 5.0, "diameter_nm": size,
         "dose_dpa": 0.1 * frame, "at_rim": frame > 9, "fit": frame <= 9}
    )  # fmt: skip
    rows.loc[frame > 9, "diameter_nm"] = 3.0
    found = Growth().analyse(make_tables({}, indices=frame, tracks=rows))
    assert found[-1].numbers[0].value == pytest.approx(5)
    assert all("Sizes leave out 2 sightings" in finding.note for finding in found)


def test_particles_do_not_grow_to_the_size_of_their_box(make_tables):
    frame = np.arange(12)
    failed = np.isin(frame, (9, 10))
    rows = pd.DataFrame(
        {"frame": frame, "particle": 0, "x": 5.0, "y": 5.0, "dose_dpa": 0.1 * frame,
         "diameter_nm": np.where(failed, 40.0, 20 + 0.5 * frame), "fit": ~failed,
         "origin": "detector"}
    )  # fmt: skip
    # What was filled in between boxes is no sighting.
    rows = pd.concat([rows, rows.iloc[[9]].assign(origin="interpolated", particle=1)])
    found = Growth().analyse(make_tables({}, indices=frame, tracks=rows))
    assert [finding.name for finding in found] == ["growth-laws", "growth-rates"]
    assert found[-1].table["sightings"].tolist() == [10]
    assert found[-1].numbers[0].value == pytest.approx(5)
    assert all("Sizes leave out 2 sightings of which" in finding.note for finding in found)
    boxes = make_tables({}, indices=frame, tracks=rows.assign(fit=0))
    assert Growth().analyse(boxes) == []
    assert Growth().why_nothing(boxes).startswith("every size is that of a box")
