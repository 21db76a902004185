"""Precision and recall that a user gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from defectscope.analysis.defect_classes import DefectClasses
from defectscope.analysis.density import NumberDensity
from defectscope.analysis.detector_scores import DetectorScoreOptions, detector_note, spread_of
from defectscope.analysis.hardening import Hardening
from defectscope.analysis.sizes import SizeDistribution
from defectscope.analysis.swelling import Swelling, swelling_table
from defectscope.core.errors import OptionError
from defectscope.core.options import validate_options


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_an_error_of_nothing_is_refused(name):
    with pytest.raises(OptionError, match=f"{name}_error is that of {name}, which is not given"):
        validate_options(DetectorScoreOptions, {f"{name}_error": 0.1}, "density")
    given = validate_options(DetectorScoreOptions, {name: 0.5, f"{name}_error": 0.1}, "density")
    assert given.scores({}) == {name: 0.5, f"{name}_error": 0.1}


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ({}, "(by its card; errors not known)"),
        ({"precision_error": 0.0}, "(by its card; error of recall not known)"),
        ({"precision_error": 0.02, "recall_error": 0.0}, "(by its card)"),
    ],
)
def test_errors_that_nobody_knows_are_said(errors, text):
    scores = {"precision": 0.8, "recall": 0.9, **errors}
    assert text in detector_note(scores, "by its card")
    assert "(by its card)" in detector_note(scores, "by its card", for_counts=False)


TOGETHER = {"precision": 0.8, "precision_error": 0.02, "recall": 0.8, "recall_error": 0.02}
OWN = {"precision": 0.9, "precision_error": 0.03, "recall": 0.6, "recall_error": 0.04}


@pytest.fixture
def two_types(make_tables):
    found = {0: [("dislocation-loop", d) for d in (8.0, 12.0) * 5] + [("black-dot", 4.0)] * 4}

    def tables(**by_type):
        known = {"detector_scores": TOGETHER, "detector_source": "by its card"}
        return replace(make_tables(found), **known, detector_scores_by_type=by_type)

    return tables


@pytest.mark.parametrize("analysis", [NumberDensity, DefectClasses, Hardening])
def test_a_type_is_corrected_by_its_own_precision_and_recall(two_types, analysis):
    tables = two_types(**{"dislocation-loop": OWN, "black-dot": {}})
    column = {Hardening: "number_density_per_m3"}.get(analysis, "areal_density_per_m2")
    plain, known = (
        analysis().analyse(t)[0].table.set_index("defect_type")[column]
        for t in (replace(tables, detector_scores={}, detector_scores_by_type={}), tables)
    )
    assert known["dislocation-loop"] == pytest.approx(1.5 * plain["dislocation-loop"])
    assert known["black-dot"] == pytest.approx(plain["black-dot"])
    note = analysis().analyse(tables)[0].note
    assert "of dislocation-loop are multiplied by 1.500 for precision 0.900 ± 0.030" in note
    assert "of black-dot are not multiplied" in note


def test_true_fractions_are_those_of_the_densities(two_types):
    (finding,) = DefectClasses().analyse(two_types(**{"dislocation-loop": OWN, "black-dot": {}}))
    density = finding.table["areal_density_per_m2"]
    assert finding.table["true_fraction"].tolist() == pytest.approx(density / density.sum())
    assert finding.note.startswith("Fractions are of those found")
    (alike,) = DefectClasses().analyse(two_types(**{"dislocation-loop": OWN, "black-dot": OWN}))
    assert "true_fraction" not in alike.table


def test_scores_of_all_types_together_correct_no_single_one(two_types):
    tables = two_types(**{"dislocation-loop": {}, "black-dot": {}})
    (finding,) = NumberDensity().analyse(tables)
    assert finding.table["true_count"].tolist() == finding.table["count"].tolist()
    assert "recall 0.800 ± 0.020 of the detector (by its card) are of all types" in finding.note
    assert not any("corrected" in number.label for number in finding.numbers)
    # What is given is meant for all.
    given = NumberDensity.Options(precision=0.8, recall=0.4)
    (finding,) = NumberDensity(given).analyse(tables)
    assert finding.table["true_count"].tolist() == (2 * finding.table["count"]).tolist()
    # Limits are rather too wide than too narrow.
    sizes = SizeDistribution().analyse(tables)[0]
    assert "0.283 times the spread" in sizes.note
    assert "of all types together" in sizes.note


def test_one_score_given_alone_does_not_make_the_other_1(two_types):
    given = DetectorScoreOptions(precision=0.9)
    tables = two_types(**{"dislocation-loop": OWN | {"recall": 0.5}, "black-dot": {}})
    by_type = given.scores_by_type(tables.detector_scores_by_type)
    assert (by_type["dislocation-loop"]["recall"], by_type["black-dot"]) == (0.5, {})
    together = given.scores(TOGETHER)
    assert spread_of("black-dot", together, by_type) == pytest.approx(np.hypot(0.1, 0.2))
    (finding,) = NumberDensity(NumberDensity.Options(precision=0.9)).analyse(tables)
    ratio = finding.table["true_count"] / finding.table["count"]
    assert dict(zip(finding.table["defect_type"], ratio, strict=True)) == {
        "black-dot": 1.0, "dislocation-loop": pytest.approx(1.8)
    }  # fmt: skip
    assert "of black-dot are not multiplied" in finding.note


def test_where_nothing_was_found_all_types_together_count(make_tables):
    tables = replace(make_tables({0: []}), detector_scores=TOGETHER | {"recall": 0.4},
                     detector_source="by its card",
                     detector_scores_by_type={"black-dot": {}, "dislocation-loop": {}})  # fmt: skip
    (finding,) = NumberDensity().analyse(tables)
    assert "multiplied by 2.000" in finding.note


def test_sizes_have_the_spread_of_their_type(two_types):
    tables = two_types(**{"dislocation-loop": OWN, "black-dot": {}})
    finding = SizeDistribution().analyse(tables)[0]
    assert "hold 0.283 (black-dot), 0.412 (dislocation-loop) times the spread" in finding.note
    assert "each type (by its card), of all types together for black-dot; assumed" in finding.note
    finding = SizeDistribution().analyse(two_types(**{"dislocation-loop": OWN, "black-dot": OWN}))[
        0
    ]
    assert "of each type (by its card); assumed" in finding.note


def test_swelling_weights_the_cavities_of_each_type(make_tables):
    names = ("void", "bubble")
    tables = make_tables({0: [("void", 8.0), ("void", 12.0), ("bubble", 10.0), ("bubble", 4.0)]})
    own = {"void": OWN, "bubble": OWN | {"recall": 0.9}}
    found = tables.detections["defect_type"]
    alone = [
        swelling_table(replace(tables, detections=tables.detections[found == name]), names)
        for name in names
    ]
    both = swelling_table(tables, names, TOGETHER, by_type=own)
    assert both["swelling"][0] == pytest.approx(
        1.5 * alone[0]["swelling"][0] + alone[1]["swelling"][0], rel=1e-2
    )
    # Of a single type, its own are those of all.
    one = replace(tables, detections=tables.detections[found == "void"])
    pd.testing.assert_frame_equal(
        swelling_table(one, names, TOGETHER, by_type=own), swelling_table(one, names, OWN)
    )
    known = replace(tables, detector_scores=TOGETHER, detector_scores_by_type=own)
    (finding,) = Swelling().analyse(known)
    assert "of bubble are multiplied by 1.000" in finding.note
    assert "of void are multiplied by 1.500" in finding.note
    assert "0.141 (bubble), 0.412 (void) times the spread" in finding.note


def test_swelling_without_scores_of_its_types_has_the_spread_of_all_together(make_tables):
    names, by_type = ("void", "bubble"), {"void": {}, "bubble": {}}
    tables = make_tables({0: [("void", 8.0), ("bubble", 12.0)], 1: []})
    known = replace(tables, detector_scores=TOGETHER, detector_scores_by_type=by_type)
    (finding,) = Swelling().analyse(known)
    exact = {"precision": 0.8, "recall": 0.8}
    pd.testing.assert_frame_equal(finding.table, swelling_table(tables, names, exact))
    assert (finding.table["swelling_error"] > swelling_table(tables, names)["swelling_error"])[0]
    assert "are not multiplied" in finding.note
    assert "0.283 times the spread" in finding.note
