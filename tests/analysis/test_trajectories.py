"""Trajectories: lifetimes by hand, the map in frame coordinates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration
from defectscope.analysis import trajectories
from defectscope.analysis.trajectories import MOST_BINS, Trajectories, lifetime_table, speeds
from defectscope.plugins.testing import AnalysisConformance

UNKNOWN = Calibration()
KNOWN = Calibration(pixel_size_nm=0.5, frame_interval_s=2.0)


class TestTrajectories(AnalysisConformance):
    component = Trajectories


def tracks(paths):
    """Return a track table: {particle: [(frame, x, y), ...]}."""
    rows = [
        {"frame": frame, "particle": particle, "x": x, "y": y}
        for particle, path in paths.items()
        for frame, x, y in path
    ]
    return pd.DataFrame(rows, columns=["frame", "particle", "x", "y"])


def analyse(make_tables, paths, frames=range(10), calibration=UNKNOWN):
    tables = make_tables({k: [] for k in frames}, tracks=tracks(paths), calibration=calibration)
    return Trajectories().analyse(tables)


def test_lifetimes_count_the_first_and_the_last_frame(make_tables):
    paths = {
        7: [(2, 10.0, 20.0), (3, 11.0, 20.0), (6, 12.0, 21.0)],  # a gap counts as life
        3: [(4, 50.0, 60.0)],
    }
    finding, *_ = analyse(make_tables, paths)
    assert finding.name == "trajectories"
    assert finding.table.to_dict("list") == {
        "particle": [3, 7], "first_frame": [4, 2], "last_frame": [4, 6], "lifetime_frames": [1, 5],
        "from_start": [False, False], "to_end": [False, False], "at_rim": [False, False],
    }  # fmt: skip


def lived(*spans):
    """Return a path for each first and last frame."""
    return {k: [(f, 9.0 * k, 9.0) for f in range(a, b + 1)] for k, (a, b) in enumerate(spans)}


def test_the_mean_of_whole_lives_has_limits(make_tables):
    (number,) = analyse(make_tables, lived((1, 2), (3, 8), (5, 8)))[0].numbers
    assert (number.label, number.value) == ("Mean lifetime", 4)
    # Of 2, 6 and 4 frames: Student's 4.303 times 2 / 3^½, which is more than the mean.
    assert (number.low, number.high) == pytest.approx((0, 4 + 4.968), abs=1e-3)


@pytest.mark.parametrize(
    ("spans", "cut"), [(((0, 4), (3, 8), (5, 9)), 2), (((0, 9), (0, 9)), 2), (((2, 9),), 1)]
)
def test_the_mean_of_lives_that_the_series_cuts_has_none(make_tables, spans, cut):
    (number,) = analyse(make_tables, lived(*spans))[0].numbers
    said = f"Mean lifetime as seen, {cut} of {len(spans)} cut by an end of the series"
    assert (number.label, number.low, number.high) == (said, None, None)


@pytest.mark.parametrize(
    ("first", "second", "half", "cut"),
    [
        ((50, 50), (50, 50), 4, False), ((4, 50), (4, 50), 4, True), ((50, 96), (50, 96), 4, True),
        ((82, 50), (92, 50), 1, True), ((82, 50), (88, 50), 1, False), ((50, 4), (50, 14), 1, True),
    ],
    ids=["inside", "left", "below", "leaving", "staying", "coming-in"],
)  # fmt: skip
@pytest.mark.parametrize("roi", [None, (1000, 600, 1100, 700)])
def test_lives_that_the_rim_cuts_are_not_whole(make_tables, first, second, half, cut, roi):
    rows = tracks({1: [(3, *first), (4, *second)], 2: [(f, 50, 50) for f in (3, 5, 6)]})
    if roi is not None:
        rows[["x", "y"]] += list(roi[:2])
    for side in ("x", "y"):
        rows[f"{side}_min"], rows[f"{side}_max"] = rows[side] - half, rows[side] + half
    shape = (100, 100) if roi is None else (710, 1120)
    given = make_tables({k: [] for k in range(10)}, tracks=rows, roi=roi, shape=shape)
    found = Trajectories().analyse(given)[0]
    assert found.table["at_rim"].tolist() == [cut, False]
    (number,) = found.numbers
    said = "Mean lifetime as seen, 1 of 2 cut by the rim of the field" if cut else "Mean lifetime"
    assert (number.label, number.high is None) == (said, cut)


@pytest.mark.parametrize(
    ("path", "cut"),
    [([(70, 50), (78, 50)], True), ([(70, 50), (74, 50)], False), ([(78, 50), (70, 50)], True),
     ([(78, 30), (79, 34)], False), ([(70, 50), (70, 50)], False)],
    ids=["going", "short-of-it", "coming", "beside", "still"],
)  # fmt: skip
def test_lives_that_a_mask_cuts_are_not_whole(make_tables, path, cut):
    masked = np.zeros((100, 100), bool)
    masked[40:60, 80:95] = True
    rows = tracks({1: [(k, *at) for k, at in enumerate(path, 3)], 2: [(3, 50, 50), (4, 50, 50)]})
    for side in ("x", "y"):
        rows[f"{side}_min"], rows[f"{side}_max"] = rows[side] - 4, rows[side] + 4
    given = make_tables({k: [] for k in range(10)}, tracks=rows, shape=(100, 100), masked=masked)
    found = Trajectories().analyse(given)[0]
    assert found.table["at_rim"].tolist() == [cut, False]
    said = " as seen, 1 of 2 cut by the rim of the field, or a mask" if cut else ""
    assert found.numbers[0].label == f"Mean lifetime{said}"


def test_lives_that_both_cut_are_said_once(make_tables):
    rows = tracks({1: [(0, 5.0, 5.0), (1, 1.0, 5.0)], 2: [(1, 99.0, 5.0), (2, 50.0, 5.0)]})
    given = make_tables({k: [] for k in range(4)}, tracks=rows, shape=(100, 100))
    (number,) = Trajectories().analyse(given)[0].numbers
    said = "2 of 2 cut by an end of the series or the rim of the field"
    assert number.label == f"Mean lifetime as seen, {said}"


@pytest.mark.parametrize("spans", [((2, 4), (3, 5)), ((2, 4),)])
def test_lives_that_are_all_alike_tell_no_limits(make_tables, spans):
    (number,) = analyse(make_tables, lived(*spans))[0].numbers
    assert (number.value, number.low, number.high) == (3, None, None)


def test_nothing_is_said_of_lives_in_one_frame(make_tables):
    assert analyse(make_tables, lived((0, 0)), range(1))[0].numbers == ()


def test_the_map_shows_every_path_in_the_order_of_time(make_tables, drawn):
    paths = {1: [(5, 30.0, 40.0), (3, 10.0, 20.0), (4, 20.0, 30.0)], 2: [(4, 5.0, 6.0)]}
    finding, *_ = analyse(make_tables, paths)
    left, right, _ = drawn(finding)
    lines, dots = left.collections
    segments = [segment.tolist() for segment in lines.get_segments()]
    assert segments[0] == [[10, 20], [20, 30], [30, 40]]
    assert lines.get_array().tolist() == [3, 4]
    # A path that is shorter than a line is wide has a dot where it begins.
    assert dots.get_offsets().tolist() == [[10, 20], [5, 6]]
    assert left.get_xlim() == (0, 1120)
    # y points down, as in the image.
    assert left.get_ylim() == (710, 0)
    assert (left.get_xlabel(), left.get_ylabel()) == ("x (px)", "y (px)")
    assert right.get_xlabel() == "Lifetime (frames)"
    assert right.get_title("left") == "Dashed: mean of 2 particles, 2.0 frames"
    for ticks in (right.get_xticks(), right.get_yticks()):
        np.testing.assert_array_equal(ticks, ticks.round())
    # Nothing is as bright as the paper.
    assert lines.cmap(1.0)[0] < 0.75
    assert finding.figure.axes[2].get_ylabel() == "First frame"


def test_the_colours_name_no_frame_in_which_none_begins(make_tables, drawn):
    finding, *_ = analyse(make_tables, lived((3, 5), (3, 8)))
    panel, _, bar = drawn(finding)
    assert [text.get_text() for text in bar.get_yticklabels()] == ["3"]
    assert [drawn.get_clim() for drawn in panel.collections] == [(2.5, 3.5)] * 2


@pytest.mark.parametrize("longest", [1, 2, MOST_BINS, MOST_BINS + 1, 54, 700])
def test_every_bin_holds_as_many_whole_frames(make_tables, drawn, longest):
    paths = {k: [(0, 1.0, 1.0), (k, 2.0, 2.0)] for k in range(1, longest)} | {0: [(0, 1.0, 1.0)]}
    finding, *_ = analyse(make_tables, paths, range(longest))
    assert sorted(finding.table["lifetime_frames"]) == list(range(1, longest + 1))
    _, right, _ = drawn(finding)
    heights = [patch.get_height() for patch in right.patches]
    assert sum(heights) == longest
    assert len(heights) <= MOST_BINS
    # One particle of each lifetime: all bins are alike, but for the last.
    assert len(set(heights[:-1])) <= 1
    assert heights[-1] <= heights[0]


def test_nothing_tracked_is_no_finding(make_tables):
    assert Trajectories().analyse(make_tables({0: []})) == []
    assert analyse(make_tables, {}) == []


def test_a_single_point_can_be_drawn(make_tables, drawn):
    finding, *_ = analyse(make_tables, {0: [(0, 3.0, 4.0)]})
    drawn(finding)
    assert finding.table["lifetime_frames"].tolist() == [1]


def test_damaged_frames_do_not_hide_the_size_of_the_others(make_tables, drawn):
    table = tracks({1: [(0, 1.0, 1.0), (2, 3.0, 3.0)]})
    finding, *_ = Trajectories().analyse(
        make_tables({0: [], 1: [], 2: []}, damaged=[0, 1], tracks=table, calibration=UNKNOWN)
    )
    assert drawn(finding)[0].get_xlim() == (0, 1120)


def test_many_short_tracks(make_tables, drawn):
    rng = np.random.default_rng(0)
    paths = {k: [(k % 10, *rng.uniform(0, 700, 2))] for k in range(500)}
    finding, *_ = analyse(make_tables, paths)
    assert len(finding.table) == 500
    drawn(finding)


def test_the_map_and_its_table_are_in_nanometres_where_they_are_known(make_tables, drawn):
    found, paths = analyse(make_tables, {4: [(2, 10.0, 20.0), (3, 30.0, 20.0)]}, calibration=KNOWN)
    left, *_ = drawn(found)
    assert (left.get_xlabel(), left.get_xlim()) == ("x (nm)", (0, 560))
    assert left.collections[0].get_segments()[0].tolist() == [[5, 10], [15, 10]]
    assert paths.name == "trajectory-paths"
    assert paths.table.to_dict("list") == {
        "particle": [4, 4], "frame": [2, 3], "x_nm": [5, 15], "y_nm": [10, 10],
    }  # fmt: skip
    assert "figures/trajectory-paths.csv" in found.note


def test_very_many_positions_are_not_copied(make_tables, monkeypatch):
    monkeypatch.setattr(trajectories, "MOST_POSITIONS", 1)
    (found,) = analyse(make_tables, {4: [(2, 10.0, 20.0), (3, 30.0, 20.0)]})
    assert "the tracks of the run" in found.note


def test_the_paths_of_fast_and_slow_ones_are_in_a_table(make_tables, drawn):
    paths = {p: [(k, 5.0 + p * k, 50.0 - k) for k in range(10)] for p in (1, 4)}
    *_, found, table = analyse(make_tables, paths, calibration=KNOWN)
    assert (found.name, table.name) == ("fast-and-slow", "fast-and-slow-paths")
    speed = found.table.set_index("particle")["speed_nm_per_s"]
    assert speed.loc[4] == pytest.approx(np.hypot(4, 1) * 0.5 / 2)
    slow, fast = drawn(found)
    for panel, group in ((slow, "slowest"), (fast, "fastest")):
        rows = table.table[table.table["group"] == group]
        (line,) = panel.lines
        np.testing.assert_allclose(line.get_xdata(), rows["x_from_start_nm"])
        np.testing.assert_allclose(line.get_ydata(), rows["up_from_start_nm"])
        assert rows["up_from_start_nm"].iloc[-1] == 4.5


@pytest.mark.parametrize("damaged", [5, 0])
def test_nothing_ends_before_a_damaged_frame(make_tables, damaged):
    seen = [frame for frame in range(6) if frame != damaged]
    paths = tracks({1: [(frame, 9.0, 9.0) for frame in seen]})
    given = make_tables({k: [] for k in range(6)}, damaged=(damaged,), tracks=paths)
    table = Trajectories().analyse(given)[0].table
    assert table[["from_start", "to_end"]].to_numpy().tolist() == [[True, True]]


def test_lifetimes_and_speeds_by_hand():
    tracks = pd.DataFrame({"frame": [3, 4, 6, 5], "particle": [1, 1, 1, 2],
                           "x": [0.0, 3, 3, 9], "y": [0.0, 4, 14, 9]})  # fmt: skip
    table = lifetime_table(tracks, pd.DataFrame({"frame": range(3, 11)}))
    assert table["lifetime_frames"].tolist() == [4, 1]
    assert table["from_start"].tolist() == [True, False]
    assert not table["to_end"].any()
    found = speeds(tracks)
    assert found["speed_px_per_frame"].tolist()[0] == 15 / 3
    assert np.isnan(found["speed_px_per_frame"].iloc[1])
