"""Hardening by defects of several types: strengths of their own, and what they do together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from defectscope import Runtime
from defectscope.analysis.hardening import (
    Hardening,
    HardeningOptions,
    barrier_hardening,
    hardening_table,
)
from defectscope.analysis.superposition import with_total
from defectscope.core.options import parse_assignment, validate_options
from defectscope.plugins.shipped_types import SHIPPED

LOOP, DOT = "dislocation-loop", "black dot"
TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})
SUFFIXES = ("", "_error", "_low", "_high")


def found(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(LOOP, size) for size in rng.uniform(15, 25, count)] + [
        (DOT, size) for size in rng.uniform(2, 6, 2 * count)
    ]


def rows(values):
    """Return a table of hardening in one frame: {type: (value, error, low, high)}."""
    table = pd.DataFrame(list(values.values()), columns=[f"hardening_mpa{s}" for s in SUFFIXES])
    return table.assign(frame=0, time_s=1.0, dose_dpa=np.nan, defect_type=list(values), mean_nm=10)


def total(table):
    (row,) = table[table["defect_type"] == "all types"].to_dict("records")
    return [row[f"hardening_mpa{suffix}"] for suffix in SUFFIXES]


@pytest.mark.parametrize("text", ["0.2", '{ "*" = 0.2 }', '{ "black dot" = 0.2 }'])
def test_strength_is_one_number_or_one_for_each_type(text):
    _, _, value = parse_assignment(f"hardening.strength={text}")
    options = validate_options(HardeningOptions, {"strength": value}, "hardening")
    loops = 0.4 if "black" in text else 0.2
    both = barrier_hardening(1e22, 20.0, options, defect_type=[LOOP, DOT]).mpa
    usual = barrier_hardening(1e22, 20.0).mpa
    np.testing.assert_allclose(both, [usual * loops / 0.4, usual * 0.2 / 0.4])


def test_each_type_hardens_by_its_own_strength(make_tables):
    tables = make_tables({0: found(9), 1: found(4)})
    usual = hardening_table(tables).set_index(["frame", "defect_type"])
    options = HardeningOptions(strength={DOT: 0.1, "*": 0.3})
    own = hardening_table(tables, options).set_index(["frame", "defect_type"])
    for suffix in SUFFIXES:
        ratio = own[f"hardening_mpa{suffix}"] / usual[f"hardening_mpa{suffix}"]
        np.testing.assert_allclose(ratio.xs(DOT, level=1), 0.25)
        np.testing.assert_allclose(ratio.xs(LOOP, level=1), 0.75)


@pytest.mark.parametrize("superposition", ["quadratic", "linear"])
def test_all_types_together(make_tables, drawn, superposition):
    tables = make_tables({0: found(9), 1: [], 2: found(16)})
    options = HardeningOptions(superposition=superposition)
    (finding,) = Hardening(options, TYPES).analyse(tables)
    table = finding.table
    assert table["frame"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    by_type = table.pivot_table("hardening_mpa", "frame", "defect_type")
    single = by_type[[LOOP, DOT]].to_numpy()
    whole = np.hypot(*single.T) if superposition == "quadratic" else single.sum(axis=1)
    np.testing.assert_allclose(by_type["all types"], whole)
    assert [number.label for number in finding.numbers] == [
        "Hardening by black dots in the last frame",
        "Hardening by dislocation loops in the last frame",
        "Hardening by all types in the last frame",
    ]
    number = finding.numbers[-1]
    assert number.value == pytest.approx(whole[-1])
    assert number.low < number.value < number.high
    # Of none found both ends are known, too.
    last = table[(table["frame"] == 1) & (table["defect_type"] == "all types")].iloc[0]
    assert (last["hardening_mpa"], last["hardening_mpa_low"]) == (0, 0)
    assert 0 < last["hardening_mpa_high"] < np.inf
    said = {"quadratic": "the root of the sum of squares of", "linear": "the sum of"}
    assert f"Hardening by all types is {said[superposition]} that by each." in finding.note
    drawn(finding)


def test_errors_and_limits_of_all_types_by_hand():
    table = rows({"a": (30.0, 3.0, 24.0, 37.0), "b": (40.0, 2.0, 36.0, 45.0)})
    squares = np.hypot(30**2 - 24**2, 40**2 - 36**2), np.hypot(37**2 - 30**2, 45**2 - 40**2)
    assert total(with_total(table)) == pytest.approx(
        [50, np.hypot(30 * 3, 40 * 2) / 50, np.sqrt(2500 - squares[0]), np.sqrt(2500 + squares[1])]
    )
    assert total(with_total(table, "linear")) == pytest.approx(
        [70, np.hypot(3, 2), 70 - np.hypot(6, 4), 70 + np.hypot(7, 5)]
    )
    # All of the error is of the diameters, 10 nm each, and has one sign.
    table = rows({"a": (30.0, 1.5, 27.0, 33.0), "b": (40.0, 2.0, 36.0, 44.0)})
    assert total(with_total(table, common_nm=1.0))[:2] == pytest.approx([50, 2.5])
    assert total(with_total(table, "linear", 1.0)) == pytest.approx([70, 3.5, 63, 77])


def test_what_densities_have_in_common_adds_up():
    # All of the error is of the densities, 10 % each, and has one sign.
    table = rows({"a": (30.0, 1.5, 27.0, 33.0), "b": (40.0, 2.0, 36.0, 44.0)})
    assert total(with_total(table, common_density=0.1))[:2] == pytest.approx([50, 2.5])
    assert total(with_total(table, "linear", common_density=0.1)) == pytest.approx(
        [70, 3.5, 63, 77]
    )
    # Half of the variance each is of densities and diameters: each adds up for itself.
    both = {"common_nm": np.sqrt(0.5), "common_density": np.sqrt(0.005)}
    assert total(with_total(table, "linear", **both)) == pytest.approx([70, 3.5, 63, 77])


def test_errors_of_one_precision_and_recall_are_common_to_all_types(make_tables):
    tables = make_tables({0: found(4000)})
    exact = {"precision": 0.9, "recall": 0.8}
    scores = {**exact, "precision_error": 0.0, "recall_error": 0.08}
    options = HardeningOptions(superposition="linear")

    def errors(**given):
        table = hardening_table(tables, options, **given).set_index("defect_type")
        return table["hardening_mpa"], table["hardening_mpa_error"]

    value, error = errors(scores=scores)
    own, single = error[[LOOP, DOT]], 0.05 * value[[LOOP, DOT]]
    by_hand = np.sqrt(single.sum() ** 2 + (own**2 - single**2).sum())
    assert error["all types"] == pytest.approx(by_hand)
    assert by_hand > 1.1 * np.hypot(*own)
    _, apart = errors(by_type={LOOP: scores, DOT: scores})
    assert apart["all types"] == pytest.approx(np.hypot(apart[LOOP], apart[DOT]))
    options = HardeningOptions(superposition="linear", recall=0.8, recall_error=0.08)
    known = {LOOP: exact, DOT: exact}
    _, given = errors(by_type=options.scores_by_type(known))
    assert given["all types"] == pytest.approx(error["all types"])


def test_limits_of_all_types_hold_the_truth():
    rng = np.random.default_rng(1)
    true, error = np.array([30.0, 40.0]), np.array([3.0, 4.0])
    inside = []
    for _ in range(400):
        seen = true + error * rng.normal(size=2)
        values = {n: (s, e, s - 1.96 * e, s + 1.96 * e)
                  for n, s, e in zip("ab", seen, error, strict=True)}  # fmt: skip
        _, _, low, high = total(with_total(rows(values)))
        inside.append(low < 50 < high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)


def test_endless_limits_and_types_without_hardening():
    endless = rows({"a": (30.0, 3.0, 24.0, np.inf), "b": (0.0, 0.0, 0.0, 5.0)})
    assert total(with_total(endless, common_nm=1.0))[2:] == [pytest.approx(24), np.inf]
    alone = rows({"a": (30.0, 3.0, 24.0, 36.0), "b": (np.nan,) * 4})
    pd.testing.assert_frame_equal(with_total(alone), alone)


def test_a_strength_of_a_type_that_was_not_found_is_said(make_tables):
    tables = make_tables({0: found(3)})
    wrong = Hardening(HardeningOptions(strength={"black-dot": 0.2}), TYPES)
    (finding,) = wrong.analyse(tables)
    said = (
        "hardening.strength names types that were not found: black-dot (did you mean 'black dot'?)."
    )
    assert said in finding.note
    rows_ = tables.detections.replace({"defect_type": {DOT: "mine"}})
    own = Hardening(HardeningOptions(strength={"mine": 0.2, "*": 0.4}), TYPES)
    (finding,) = own.analyse(replace(tables, detections=rows_))
    assert "not found" not in finding.note
