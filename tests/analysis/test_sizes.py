"""Sizes against quartiles worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope import Calibration, Runtime, Tables
from defectscope.analysis.defect_classes import DefectClasses
from defectscope.analysis.detector_scores import DetectorScoreOptions
from defectscope.analysis.sizes import SizeDistribution, size_table
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

LOOP, DOT = "dislocation-loop", "black dot"


class TestSizeDistribution(AnalysisConformance):
    component = SizeDistribution


def loops(*sizes):
    return [(LOOP, float(size)) for size in sizes]


def test_quartiles_and_mean_of_each_frame(make_tables):
    # Linear between the ranks: of 1, 2, 4, 8 the quartiles lie at 1.75, 3 and 5.
    table = size_table(make_tables({461: loops(8, 1, 4, 2), 462: loops(6)}), "diameter_nm")
    first, second = table.to_dict("records")
    assert list(table) == [
        "frame", "time_s", "dose_dpa", "defect_type", "count", "first_quartile_nm", "median_nm",
        "third_quartile_nm", "mean_nm", "standard_error_nm", "mean_error_nm", "mean_nm_low",
        "mean_nm_high",
    ]  # fmt: skip
    assert (first["frame"], first["count"], first["defect_type"]) == (461, 4, LOOP)
    assert first["first_quartile_nm"] == 1.75
    assert first["median_nm"] == 3
    assert first["third_quartile_nm"] == 5
    assert first["mean_nm"] == 3.75
    # Variance with n - 1: (2.75² + 1.75² + 0.25² + 4.25²) / 3, over n, root.
    assert first["standard_error_nm"] == pytest.approx(np.sqrt(28.75 / 3 / 4))
    assert first["dose_dpa"] == pytest.approx(0.8534 + 461 * 1.6466 / 1175)
    assert (second["first_quartile_nm"], second["median_nm"], second["third_quartile_nm"]) == (
        6, 6, 6,
    )  # fmt: skip
    # One defect has no spread to estimate an error from.
    assert np.isnan(second["standard_error_nm"])


def test_what_the_detector_misses_and_invents_is_in_the_error_of_the_mean(make_tables, drawn):
    found = {0: loops(*np.tile([8.0, 12.0], 200)), 1: loops(5)}
    tables = make_tables(found)
    plain = size_table(tables, "diameter_nm").iloc[0]
    assert plain["mean_error_nm"] == plain["standard_error_nm"]
    scores = {"precision": 0.9, "recall": 0.6, "recall_error": 0.02}
    known = size_table(tables, "diameter_nm", scores)
    row, spread = known.iloc[0], 2 * np.sqrt(400 / 399)
    assert row["standard_error_nm"] == plain["standard_error_nm"] == pytest.approx(spread / 20)
    assert row["mean_error_nm"] == pytest.approx(spread * np.sqrt(1 / 400 + 0.1**2 + 0.4**2))
    assert row["mean_nm_high"] - 10 == pytest.approx(1.96 * row["mean_error_nm"], rel=2e-3)
    assert 10 - row["mean_nm_low"] == pytest.approx(row["mean_nm_high"] - 10)
    # One defect tells nothing of the spread.
    assert np.isnan(known.iloc[1]["mean_error_nm"])
    assert known.iloc[1]["mean_nm_high"] == np.inf
    by_card = Tables(
        **{**vars(tables), "detector_scores": scores, "detector_source": "by its card"}
    )
    finding, _, _ = SizeDistribution().analyse(by_card)
    drawn(finding)
    assert "0.412 times the spread, s·hypot(1 − p, 1 − r)" in finding.note
    assert "precision 0.900 and recall 0.600 ± 0.020 of the detector (by its card)" in finding.note
    assert "differ from those found by at most the spread" in finding.note
    _, mean = finding.numbers
    assert mean.label == f"Mean diameter in frame 0, {LOOP}"
    assert (mean.low, mean.high) == (row["mean_nm_low"], row["mean_nm_high"])
    # Who knows better says so; a perfect detector adds nothing, and nothing is said.
    options = DetectorScoreOptions(precision=1.0, recall=1.0)
    perfect = SizeDistribution(options).analyse(by_card)[0]
    assert perfect.table["mean_error_nm"].iloc[0] == plain["standard_error_nm"]
    assert "hypot" not in perfect.note


def test_the_error_of_the_mean_covers_what_a_poor_detector_does():
    """Half of the small loops are missed, and a tenth of what is found is invented, of any size."""
    rng = np.random.default_rng(0)
    covered = bare = 0
    for _ in range(50):
        true = rng.normal(10, 2, 300)
        seen = true[rng.random(300) < np.where(true < 10, 0.5, 0.9)]
        invented = rng.uniform(4, 16, len(seen) // 9)
        rows = pd.DataFrame({"frame": 0, "defect_type": LOOP,
                             "diameter_nm": np.concatenate([seen, invented])})  # fmt: skip
        frames = pd.DataFrame({"frame": [0], "time_s": [np.nan], "dose_dpa": [np.nan]})
        tables = Tables(frames, rows, None, None, Calibration())
        for scores in ({}, {"precision": 0.9, "recall": 0.7}):
            row = size_table(tables, "diameter_nm", scores).iloc[0]
            held = row["mean_nm_low"] <= 10 <= row["mean_nm_high"]
            covered, bare = covered + (held and bool(scores)), bare + (held and not scores)
    assert covered >= 48
    assert bare < 25


def test_few_frames_are_drawn_of_many_types(make_tables, drawn):
    found = {k: [(f"type {t}", 3.0 + t) for t in range(9)] for k in range(20)}
    _, boxes, _ = SizeDistribution().analyse(make_tables(found))
    drawn(boxes)
    assert len(boxes.table) == 36
    assert set(boxes.table["frame"]) == {0, 6, 13, 19}


@pytest.mark.parametrize("known", ["times", "tracks", "nothing", "one-frame"])
def test_means_over_a_series_have_no_limits(make_tables, drawn, known):
    frames = 1 if known == "one-frame" else 3
    rows = pd.DataFrame({"frame": range(frames), "particle": 1, "x": 5.0, "y": 5.0})
    tables = make_tables(
        {frame: loops(8, 10, 12) for frame in range(frames)},
        calibration=Calibration(pixel_size_nm=1, frame_interval_s=2 if known == "times" else None),
        tracks=rows if known in ("tracks", "one-frame") else None,
    )
    (finding,) = DefectClasses().analyse(tables)
    (number,) = finding.numbers
    series = known in ("times", "tracks")
    assert (number.low is None, number.high is None) == (series, series)
    everywhere = "" if known == "one-frame" else " in all frames"
    assert number.label == f"Mean diameter{everywhere}, {LOOP}"
    assert ("the same defect is counted in many frames" in finding.note) == series
    for panel in drawn(finding):
        assert panel.get_title("left").endswith("too narrow for a series") == series


def test_separate_samples_of_several_doses_keep_their_limits(make_tables):
    tables = make_tables({frame: loops(8, 10, 12) for frame in range(3)},
                         calibration=Calibration(pixel_size_nm=1))  # fmt: skip
    frames = tables.frames.assign(dose_dpa=[0.1, 0.5, 2.0])
    (finding,) = DefectClasses().analyse(replace(tables, frames=frames))
    assert finding.numbers[0].low is not None
    assert "Where these images show the same defects again" in finding.note


def test_types_are_kept_apart_and_frames_in_order(make_tables):
    found = {5: [(DOT, 2.0), (LOOP, 10.0), (DOT, 4.0)], 9: [(LOOP, 12.0)]}
    table = size_table(make_tables(found, indices=[5, 7, 9]), "diameter_nm")
    assert table[["frame", "defect_type", "count", "median_nm"]].values.tolist() == [
        [5, DOT, 2, 3.0], [5, LOOP, 1, 10.0], [9, LOOP, 1, 12.0],
    ]  # fmt: skip


def test_what_could_not_be_measured_does_not_count(make_tables):
    table = size_table(
        make_tables({0: loops(4, np.nan, 6), 1: loops(np.nan)}), "diameter_nm"
    ).set_index("frame")
    assert table.loc[0, "count"] == 2
    assert table.loc[0, "median_nm"] == 5
    assert table.loc[1, "count"] == 0
    assert np.isnan(table.loc[1, "median_nm"])


def test_the_unit_is_that_of_the_column(make_tables, drawn):
    tables = make_tables({0: loops(4, 6)}, calibration=Calibration(), unit="px")
    finding, _ = SizeDistribution().analyse(tables)
    assert {"median_px", "mean_px"} <= set(finding.table)
    left, right = drawn(finding)
    assert left.get_xlabel() == right.get_ylabel() == "Diameter (px)"
    assert left.get_ylabel() == "Detections"
    tables = make_tables({0: loops(4), 1: loops(6)}, calibration=Calibration(), unit="px")
    assert drawn(SizeDistribution().analyse(tables)[0])[1].get_xlabel() == "Frame"


def test_nanometres_are_preferred_where_they_are_known(make_tables):
    tables = make_tables({0: loops(4, 6)})
    tables.detections["diameter_px"] = [40.0, 60.0]
    assert "median_nm" in SizeDistribution().analyse(tables)[0].table
    tables.detections["diameter_nm"] = np.nan
    assert SizeDistribution().analyse(tables)[0].table["median_px"].tolist() == [50]


@pytest.mark.parametrize("found", [{}, {0: []}, {0: loops(np.nan, np.nan)}])
def test_nothing_measured_is_no_finding(make_tables, found):
    assert SizeDistribution().analyse(make_tables(found)) == []


def test_detections_without_any_diameter_column_are_no_finding(make_tables):
    tables = make_tables({0: loops(3)})
    del tables.detections["diameter_nm"]
    assert SizeDistribution().analyse(tables) == []


def histogram(panel):
    return sum(patch.get_height() for patch in panel.patches)


@pytest.mark.parametrize(
    "sizes", [[7.0], [10.0, 20.0], [5.0, 6.0, 50.0], [0.0], list(range(1, 41))]
)
def test_the_histogram_of_a_few_shows_them_all(make_tables, drawn, sizes):
    finding, _ = SizeDistribution().analyse(make_tables({0: loops(*sizes)}))
    left, _ = drawn(finding)
    assert histogram(left) == len(sizes)
    assert left.get_title("left") == ""


def test_the_far_tail_of_many_does_not_squeeze_the_histogram(make_tables, drawn):
    sizes = [*np.linspace(5, 15, 998), 900.0, 5000.0]
    finding, bins = SizeDistribution().analyse(make_tables({0: loops(*sizes)}))
    left, _ = drawn(finding)
    assert left.get_xlim()[1] < 20
    assert histogram(left) == bins.table["count"].sum() == len(sizes) - 4
    # What is not in it is said: the legend counts all.
    assert left.get_title("left") == "4 larger than 15 nm not shown"
    assert finding.note.endswith("The histogram leaves out 4 larger than 15 nm.")


def test_the_figure_shows_the_table(make_tables, drawn):
    found = {k: [*loops(8 + k, 10 + k, 15 + k), (DOT, 3.0)] for k in range(3)}
    types = {kind.name: kind for kind in SHIPPED}
    runtime = Runtime(defect_types=types)
    finding, boxes, _ = SizeDistribution(None, runtime).analyse(make_tables(found))
    assert boxes.name == "size-boxes"
    (panel,) = drawn(boxes)
    assert boxes.table["defect_type"].tolist() == [DOT, LOOP] * 3
    assert boxes.table["median_nm"].tolist() == [3, 10, 3, 11, 3, 12]
    assert boxes.table["low_whisker_nm"].tolist() == [3, 8, 3, 9, 3, 10]
    assert len({patch.get_facecolor() for patch in panel.patches}) == 2
    (legend,) = boxes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Black dot", "Dislocation loop"]
    # A median of dots and loops together would be the size of neither.
    assert [(number.label, number.value) for number in finding.numbers[:2]] == [
        ("Median diameter of all 3 measured detections, Black dot", 3),
        ("Median diameter of all 9 measured detections, Dislocation loop", 11),
    ]
    left, right = drawn(finding)
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["Black dot (3)", "Dislocation loop (9)"]
    medians = {line.get_color(): line.get_ydata().tolist() for line in right.lines}
    assert medians == {types[DOT].colour: [3, 3, 3], types[LOOP].colour: [10, 11, 12]}
    assert right.get_xlabel() == "Dose (dpa)"
    assert right.get_ylim()[0] == 0


def test_boxes_stand_at_their_doses(make_tables, drawn):
    frames = [0, 100, 101, 300]
    tables = make_tables({k: loops(8, 10, 12) for k in frames})
    _, boxes, _ = SizeDistribution().analyse(tables)
    (panel,) = drawn(boxes)
    doses = tables.frames["dose_dpa"].to_numpy()
    lines = [line.get_xdata() for line in panel.lines if len(line.get_xdata())]
    middles = {round((x.min() + x.max()) / 2, 9) for x in lines}
    assert panel.get_xlabel() == "Dose (dpa)"
    assert middles == set(doses.round(9).tolist())
    texts = [text.get_text() for text in panel.get_xticklabels()]
    assert len(set(texts)) == len(texts) > 3
    assert "quartiles" in panel.get_title("left")


def test_boxes_of_images_of_several_sizes_stand_side_by_side(make_tables, drawn):
    tables = make_tables({k: loops(8, 10, 12) for k in (3, 50)})
    tables.frames.loc[1, "width_px"] = 500
    (panel,) = drawn(SizeDistribution().analyse(tables)[1])
    assert [text.get_text() for text in panel.get_xticklabels()] == ["Frame3.jpg", "Frame50.jpg"]


def test_the_bins_of_the_histogram_are_in_a_table(make_tables, drawn):
    finding, histogram = SizeDistribution().analyse(
        make_tables({0: [*loops(8, 9, 20), (DOT, 3.0)]})
    )
    left, _ = drawn(finding)
    assert histogram.name == "size-histogram"
    assert "size-histogram.csv" in finding.note
    table = histogram.table
    assert list(table) == ["defect_type", "bin_low_nm", "bin_high_nm", "count"]
    assert table.groupby("defect_type")["count"].sum().to_dict() == {DOT: 1, LOOP: 3}
    # Filled, those of several types would cover each other.
    assert not any(patch.get_fill() for patch in left.patches)
    heights = [height for patch in left.patches for height in patch.get_data().values]
    assert table["count"].tolist() == heights
    assert table["bin_low_nm"].iloc[0] == 0
    assert table["bin_high_nm"].iloc[-1] == 20


def test_the_quartiles_of_a_single_image_are_bars(make_tables, drawn):
    tables = make_tables({5: [*loops(8, 1, 4, 2), (DOT, 3.0)]})
    _, right = drawn(SizeDistribution().analyse(tables)[0])
    assert [text.get_text() for text in right.get_xticklabels()] == [DOT, LOOP]
    assert right.get_xlabel() == ""
    assert right.get_title("left") == "Bars: first to third quartile, about the median"
    ends = [bar.get_segments()[0][:, 1].tolist() for bar in right.collections]
    assert ends == [[3, 3], [1.75, 5]]


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=40))
def test_quartiles_are_ordered_within_the_sizes(sizes):
    frames = pd.DataFrame({"frame": [0], "time_s": [np.nan], "dose_dpa": [np.nan]})
    detections = pd.DataFrame({"frame": 0, "defect_type": LOOP, "diameter_nm": sizes})
    tables = Tables(frames, detections, None, None, Calibration())
    (row,) = size_table(tables, "diameter_nm").to_dict("records")
    quartiles = [row[f"{name}_nm"] for name in ("first_quartile", "median", "third_quartile")]
    assert quartiles == pytest.approx(np.quantile(sizes, [0.25, 0.5, 0.75]).tolist())
    assert min(sizes) * (1 - 1e-9) <= row["mean_nm"] <= max(sizes) * (1 + 1e-9)
