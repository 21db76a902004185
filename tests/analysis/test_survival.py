"""Survival: by hand, against lives whose truth is known, and where little was seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis.life_tables import (
    life_spans,
    median_life,
    survival_table,
    turnover_table,
)
from defectscope.analysis.survival import Survival, _units
from defectscope.core.frame_times import FrameTimes
from defectscope.plugins.testing import AnalysisConformance

UNKNOWN = Calibration()


class TestSurvival(AnalysisConformance):
    component = Survival


def lived(*spans, x=50.0, step=1):
    """Return the tracks of particles that stand still, of each first and last frame."""
    return pd.DataFrame(
        [(frame, particle, x, 50.0)
         for particle, (first, last) in enumerate(spans)
         for frame in range(first, last + 1, step)],
        columns=["frame", "particle", "x", "y"],
    )  # fmt: skip


def given(make_tables, rows, frames=range(10), calibration=UNKNOWN, **more):
    return make_tables({}, indices=frames, tracks=rows, calibration=calibration, **more)


def test_the_estimate_by_hand():
    lifetimes, ended = [1, 2, 2, 3, 5, 5, 8], [True, True, False, True, True, True, True]
    table = survival_table(lifetimes, ended)
    assert table["life_frames"].tolist() == [1, 2, 3, 5, 8]
    assert table["at_risk"].tolist() == [7, 6, 4, 3, 1]
    assert table["ended"].tolist() == [1, 1, 1, 2, 1]
    assert table["cut"].tolist() == [0, 1, 0, 0, 0]
    factors = [6 / 7, 5 / 6, 3 / 4, 1 / 3, 0]
    assert table["survival"].tolist() == pytest.approx(np.cumprod(factors).tolist())
    # Greenwood: Σ d / (n (n - d)), over log S.
    wide = 1.96 * np.sqrt(1 / 42 + 1 / 30) / abs(np.log(5 / 7))
    limits = [(5 / 7) ** np.exp(sign * wide) for sign in (1, -1)]
    assert table.loc[1, ["survival_low", "survival_high"]].tolist() == pytest.approx(limits, 1e-3)
    # The upper limit does not pass one half: where none is left it is not known.
    assert median_life(table) == (5, None, None)
    assert median_life(survival_table(range(1, 60), [True] * 59)) == (30, 22, 37)


def test_nobody_knows_the_age_of_what_came_in_or_the_end_of_what_went_out(make_tables):
    rows = lived((0, 4), (2, 4), (3, 9), (2, 5), (2, 5))
    rows.loc[(rows["particle"] == 3) & (rows["frame"] == 2), "x"] = 2.0
    rows.loc[(rows["particle"] == 4) & (rows["frame"] == 5), "x"] = 98.0
    for side in ("x", "y"):
        rows[f"{side}_min"], rows[f"{side}_max"] = rows[side] - 3, rows[side] + 3
    table = life_spans(given(make_tables, rows, shape=(100, 100)))
    assert table["life_frames"].tolist() == [5, 3, 7, 4, 4]
    assert table["began"].tolist() == [False, True, True, False, True]
    assert table["ended"].tolist() == [True, True, False, True, False]


def test_so_it_is_with_what_comes_from_or_goes_under_a_mask(make_tables):
    masked = np.zeros((100, 100), bool)
    masked[:, 60:65] = True
    rows = lived((2, 4), (2, 4), (2, 4))
    rows.loc[(rows["particle"] == 0) & (rows["frame"] == 2), "x"] = 56.0
    rows.loc[(rows["particle"] == 1) & (rows["frame"] == 4), "x"] = 56.0
    tables = given(make_tables, rows, shape=(100, 100), masked=masked)
    table = life_spans(tables)
    assert table["began"].tolist() == [False, True, True]
    assert table["ended"].tolist() == [True, False, True]
    note = Survival().analyse(tables)[0].note
    assert "came in over the rim or from under a mask are left out" in note
    assert "went out over the rim or under a mask, and count as long as" in note


def test_under_a_step_lives_are_neither_too_short_nor_too_long_on_average(make_tables):
    tables = given(make_tables, lived((5, 15), (10, 10), step=5), range(0, 30, 5))
    assert life_spans(tables)["life_frames"].tolist() == [15, 5]


def test_nothing_ends_before_a_damaged_frame(make_tables):
    tables = given(make_tables, lived((1, 8)), damaged=(0, 9))
    table = life_spans(tables)
    assert not table[["began", "ended"]].any(axis=None)
    assert Survival().analyse(tables) == []


def test_those_that_come_and_go_are_counted_along_the_series(make_tables):
    tables = given(make_tables, lived((0, 1), (1, 3), (1, 2)), range(4),
                   Calibration(frame_interval_s=2))  # fmt: skip
    table = turnover_table(life_spans(tables), tables.frames)
    assert table.to_dict("list") == {
        "first_frame": [0, 1, 2, 3], "last_frame": [0, 1, 2, 3], "time_s": [0, 2, 4, 6],
        "frames": [1, 1, 1, 1], "present": [1, 3, 2, 1], "born": [0, 2, 0, 0],
        "gone": [0, 1, 1, 0],
    }  # fmt: skip


def test_many_frames_are_counted_in_bins(make_tables, drawn):
    rows = lived(*((k, k + 2) for k in range(95)))
    finding, turnover = Survival().analyse(given(make_tables, rows, range(100)))
    assert turnover.table["frames"].tolist() == [3] * 33 + [1]
    assert turnover.table["born"].sum() == 94
    assert turnover.table["gone"].sum() == 95
    assert turnover.table["present"].iloc[1:30].tolist() == [3] * 29
    _, right = drawn(finding)
    assert right.get_title("left") == "Means of 3 frames each"
    assert right.lines[0].get_ydata()[1] == 1


def series_of_lives(rng, mean=15.0, frames=60, rate=2.0):
    """Return lives that begin at random, most before the series, as whole frames that saw them."""
    number = rng.poisson(rate * (frames + 10 * mean))
    born = rng.uniform(-10 * mean, frames, number)
    first, last = np.ceil(born), np.floor(born + rng.exponential(mean, number))
    seen = (first <= last) & (first < frames) & (last >= 0)
    return list(zip(np.maximum(first[seen], 0).astype(int),
                    np.minimum(last[seen], frames - 1).astype(int), strict=True))  # fmt: skip


def test_limits_hold_the_truth_where_the_series_cuts_many_lives():
    # Of exponential lives, those that a frame saw last T frames with P(T > t) = exp(-t / 15).
    covered, shares, naive = 0, [], []
    for seed in range(60):
        spans = np.array(series_of_lives(np.random.default_rng(seed)))
        born = spans[spans[:, 0] > 0]
        lifetimes, ended = born[:, 1] - born[:, 0] + 1, born[:, 1] < 59
        table = survival_table(lifetimes, ended)
        row = table[table["life_frames"] <= 10].iloc[-1]
        true = np.exp(-10 / 15)
        covered += row["survival_low"] <= true <= row["survival_high"]
        shares.append(row["survival"])
        naive.append((lifetimes > 10).mean())
    # 95 % of 60 are 57; fewer than 51 come by chance once in a thousand.
    assert covered >= 51
    assert np.mean(shares) == pytest.approx(true, abs=0.01)
    assert np.mean(naive) < true - 0.03


def test_the_report_has_the_median_in_all_units_that_are_known(make_tables, drawn):
    known = Calibration(frame_interval_s=2, dose_start_dpa=1, dose_per_frame_dpa=0.01)
    rows = lived((0, 5), *((2, 2 + k % 7) for k in range(70)), (90, 99))
    finding, turnover = Survival().analyse(given(make_tables, rows, range(100), known))
    assert (finding.name, turnover.name) == ("survival", "particle-turnover")
    medians = {n.unit: (n.value, n.low, n.high) for n in finding.numbers[:3]}
    assert medians["frames"][0] == 4
    assert medians["s"] == pytest.approx([2 * value for value in medians["frames"]])
    assert medians["dpa"] == pytest.approx([0.01 * value for value in medians["frames"]])
    labels = {n.label: n.value for n in finding.numbers[3:]}
    assert labels == {"Particles seen to begin": 71, "Particles seen to end": 71}
    assert {"life_s", "life_dpa"} < set(finding.table)
    assert finding.table["life_s"].tolist() == (2 * finding.table["life_frames"]).tolist()
    assert "Of 72 particles the 1 that were there in the first frame" in finding.note
    left, right = drawn(finding)
    assert left.get_title("left").startswith("Band: 95 % limits; dashed: median, 4 frames")
    assert right.get_xlabel() == "Dose (dpa)"


def test_a_median_that_most_outlive_is_not_known(make_tables, drawn):
    finding, _ = Survival().analyse(given(make_tables, lived((1, 2), (3, 9), (4, 9))))
    assert [n.label for n in finding.numbers] == ["Particles seen to begin",
                                                  "Particles seen to end"]  # fmt: skip
    assert "the median is not known" in finding.note
    drawn(finding)


def test_what_it_lacks_is_said(make_tables):
    there = given(make_tables, lived((0, 5)))
    assert Survival().analyse(there) == []
    assert Survival().why_nothing(there).startswith("no particle was seen to begin")


def test_a_row_filled_in_over_a_damaged_frame_ends_no_life(make_tables):
    tracks = pd.DataFrame({"particle": 0, "frame": [1, 2, 3, 4], "x": 5.0, "y": 5.0})
    tables = make_tables({}, indices=range(5), tracks=tracks)
    status = ["ok"] * 4 + ["damaged"]
    tables = replace(tables, frames=tables.frames.assign(status=status))
    lives = life_spans(tables)
    assert lives[["first_frame", "last_frame", "ended"]].to_numpy().tolist() == [[1, 3, False]]
    assert turnover_table(lives, tables.frames[tables.frames["status"] == "ok"])["gone"].sum() == 0


def test_a_table_of_frame_times_goes_before_the_laws():
    law = Calibration(frame_interval_s=2.0, dose_start_dpa=0.0, dose_per_frame_dpa=0.1)
    assert _units(law) == {"s": 2.0, "dpa": 0.1}
    uneven = FrameTimes(frame=(0, 5, 9), dose_dpa=(0, 1, 9))
    assert _units(law.model_copy(update={"frame_times": uneven})) == {"s": 2.0}
    even = FrameTimes(frame=(0, 10), time_s=(0, 5), dose_dpa=(1, 2))
    assert _units(law.model_copy(update={"frame_times": even})) == {"s": 0.5, "dpa": 0.1}
