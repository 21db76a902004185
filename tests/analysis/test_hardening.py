"""Hardening by obstacles: its law, its limits, and what is counted for it."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Tables
from defectscope.analysis.density import density_table
from defectscope.analysis.hardening import (
    Hardening,
    HardeningOptions,
    barrier_hardening,
    hardening_table,
)
from defectscope.plugins.testing import AnalysisConformance

LOOP = ("dislocation-loop", 10.0)


class TestHardening(AnalysisConformance):
    component = Hardening


def test_hardening_by_hand_and_p3s_error():
    # M·α·μ·b·sqrt(ρ·d) = 3.06·0.4·82e3·0.248e-9·sqrt(1e22·20e-9) MPa.
    found = barrier_hardening(1e22, 20.0)
    assert found.mpa == pytest.approx(3.06 * 0.4 * 82e3 * 0.248e-9 * np.sqrt(1e22 * 20e-9))
    # P3: an error of 1.7 nm of 21.4 nm changes it by 4 %.
    options = HardeningOptions(diameter_error_nm=1.7)
    found = barrier_hardening(1e22, 21.4, options)
    assert found.error_mpa / found.mpa == pytest.approx(0.0397, rel=0.01)
    found = barrier_hardening(1e22, 20.0, None, 2e21, 0.0)
    assert found.error_mpa / found.mpa == pytest.approx(0.1)
    assert barrier_hardening(0.0, 20.0).mpa == 0


def test_hardening_of_nothing_is_as_uncertain_as_its_density(make_tables, drawn):
    tables = make_tables({0: [LOOP] * 9, 1: [], 2: []})
    (finding,) = Hardening().analyse(tables)
    last = finding.table.iloc[-1]
    density = density_table(tables).iloc[-1]
    assert last["number_density_per_m3_high"] == density["number_density_per_m3_high"] > 0
    assert (last["hardening_mpa"], last["hardening_mpa_low"]) == (0, 0)
    # None was found, so that the diameter is that of the series.
    highest = barrier_hardening(density["number_density_per_m3_high"], 10.0).mpa
    assert last["hardening_mpa_high"] == pytest.approx(highest)
    (number,) = finding.numbers
    assert (number.value, number.low, number.high) == (0, 0, pytest.approx(highest))
    drawn(finding)


def test_limits_of_hardening_are_those_of_density_and_size(make_tables):
    sizes = np.random.default_rng(0).uniform(8, 12, 60)
    tables = make_tables({0: [("dislocation-loop", size) for size in sizes]})
    table = hardening_table(tables, HardeningOptions(diameter_error_nm=1.0))
    row, density = table.iloc[0], density_table(tables).iloc[0]
    # Student's quantile for 60.
    sampled = 2.001 * sizes.std(ddof=1) / np.sqrt(60)
    relative = np.hypot(sampled, 1.96 * 1.0) / sizes.mean()
    for side, sign in (("low", -1), ("high", 1)):
        ratio = density[f"number_density_per_m3_{side}"] / density["number_density_per_m3"]
        expected = np.exp(sign * np.hypot(np.log(ratio), relative) / 2)
        assert row[f"hardening_mpa_{side}"] / row["hardening_mpa"] == pytest.approx(expected, 1e-4)
    # About as wide as the standard error says.
    assert row["hardening_mpa_high"] / row["hardening_mpa"] == pytest.approx(
        1 + 1.96 * row["hardening_mpa_error"] / row["hardening_mpa"], rel=0.05
    )


def test_limits_of_hardening_by_few_defects_are_students(make_tables):
    sizes = [("dislocation-loop", size) for size in (9.0, 10.0, 11.0)]
    tables = make_tables({0: sizes, 1: sizes[:1]})
    scores = {"precision": 0.8}
    table = hardening_table(tables, scores=scores)
    density = density_table(tables, scores=scores)
    # Quantiles for three; of a single one, those of the four of the series stand in.
    spread = np.std([9, 9, 10, 11], ddof=1)
    wide = [np.hypot(4.3027 / np.sqrt(3), 1.95996 * 0.2) / 10, 3.1824 * spread / 9]
    number, high = (density[f"number_density_per_m3{end}"] for end in ("", "_high"))
    expected = np.exp(np.hypot(np.log(high / number), wide) / 2)
    found = table["hardening_mpa_high"] / table["hardening_mpa"]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_hardening_counts_and_measures_what_number_density_counts(make_tables):
    tables = make_tables({0: [LOOP] * 4 + [("dislocation-loop", 50.0)] * 2}, shape=(100, 100))
    rows = tables.detections.assign(x=[5.0, 6, 7, 8, 95, 96])
    masked = np.zeros((100, 100), bool)
    masked[:, 90:] = True
    scores = {"precision": 0.8, "recall": 0.5}
    tables = Tables(**{**vars(tables), "detections": rows, "masked": masked,
                       "detector_scores": scores, "detector_source": "by its card"})  # fmt: skip
    (finding,) = Hardening().analyse(tables)
    row = finding.table.iloc[0]
    assert row["mean_nm"] == 10
    density = density_table(tables, scores=scores)
    assert row["number_density_per_m3"] == density["number_density_per_m3"].iloc[0]
    assert "multiplied by 1.600" in finding.note
    assert "by its card" in finding.note
    assert "mean sizes hold 0.539 times the spread" in finding.note
    assert "Masked parts (10.0 %)" in finding.note
    plain = Hardening(HardeningOptions(precision=1, recall=1)).analyse(tables)[0]
    ratio = row["hardening_mpa"] / plain.table["hardening_mpa"].iloc[0]
    assert ratio == pytest.approx(np.sqrt(1.6))


def test_hardening_corrects_its_density_for_what_the_rim_cuts(make_tables):
    tables = make_tables({0: [LOOP] * 4}, shape=(100, 100))
    at = np.array([2.0, 30, 50, 70])
    rows = tables.detections.assign(
        x=at, y=50.0, x_min=np.maximum(at - 10, 0), x_max=at + 10, y_min=40.0, y_max=60.0
    )
    tables = Tables(**{**vars(tables), "detections": rows})
    (plain,) = Hardening().analyse(tables)
    (fair,) = Hardening(HardeningOptions(edges="uncut")).analyse(tables)
    # Three whole ones, whose centres lie in 80 px of 100 either way, instead of four.
    ratio = fair.table["hardening_mpa"] / plain.table["hardening_mpa"]
    assert ratio.tolist() == pytest.approx([np.sqrt(3 / 0.8**2 / 4)])
    assert fair.note == "Densities are corrected for what the rim cuts."
    assert plain.note == ""
