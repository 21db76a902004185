from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope import Runtime
from defectscope.core.errors import FormatError, OptionError
from defectscope.plugins.host import default_host
from defectscope.trackers.trackpy_linker import Trackpy


def tracker(**options):
    return default_host().build("trackers", "trackpy", options, Runtime())


def table(rows):
    return pd.DataFrame(rows, columns=["frame", "x", "y"]).astype({"x": float, "y": float})


def scattered(seed=0, frames=20, count=15, side=200.0):
    """Particles at rest with some jitter and misses; returns the table and who is who."""
    rng = np.random.default_rng(seed)
    home = rng.uniform(0, side, (count, 2))
    frame, who = np.divmod(np.arange(frames * count), count)
    found = rng.random(len(frame)) > 0.1
    at = home[who] + rng.normal(0, 0.3, (len(who), 2))
    rows = pd.DataFrame({"frame": frame, "x": at[:, 0], "y": at[:, 1], "who": who})[found]
    return rows.reset_index(drop=True)


def same_groups(a, b):
    return (pd.factorize(np.asarray(a))[0] == pd.factorize(np.asarray(b))[0]).all()


def test_it_is_registered_and_survives_pickling():
    built = tracker(memory=2)
    copy = pickle.loads(pickle.dumps(built))
    assert type(copy) is Trackpy
    assert copy.options.memory == 2
    defaults = tracker().options
    assert (defaults.search_range_px, defaults.memory, defaults.min_length) == (5, 3, 1)
    assert all(info.description for info in type(defaults).model_fields.values())


def test_only_the_column_is_added():
    detections = scattered().sample(frac=1, random_state=1)
    detections.index = pd.Index([f"r{k % 7}" for k in range(len(detections))], name="label")
    detections["defect_type"] = "black dot"
    detections["count"] = pd.array([None, *range(len(detections) - 1)], dtype="Int64")
    detections["x"] = detections["x"].astype(np.float32)
    before = detections.copy()
    linked = tracker().link(detections)
    pd.testing.assert_frame_equal(detections, before)
    pd.testing.assert_frame_equal(linked.drop(columns="particle"), before)
    assert linked["particle"].dtype == np.int64
    assert linked.columns[-1] == "particle"


def test_particles_at_rest_are_found_again_in_any_order_of_rows():
    detections = scattered()
    shuffled = detections.sample(frac=1, random_state=3)
    for rows in (detections, shuffled):
        assert same_groups(tracker().link(rows)["particle"], rows["who"])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_row_order_decides_nothing_but_equal_costs(seed):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"frame": np.repeat(np.arange(6), 20)})
    rows["x"], rows["y"] = rng.uniform(0, 40, (2, len(rows)))
    plain = tracker().link(rows)
    moved = tracker().link(rows.sample(frac=1, random_state=seed)).loc[plain.index]
    assert same_groups(plain["particle"], moved["particle"])


def test_particles_count_by_first_appearance():
    rows = table([[2, 90, 0], [1, 50, 0], [1, 10, 0], [2, 10, 1], [2, 50, 1]])
    assert tracker().link(rows)["particle"].tolist() == [2, 0, 1, 1, 0]


def test_stubs_are_left_out_and_the_rest_counted_anew():
    rows = table([[0, 10, 0], [0, 50, 0], [1, 50, 0], [1, 90, 0], [3, 50, 1], [2, 90, 0]])
    linked = tracker(min_length=2).link(rows)
    assert linked.index.tolist() == [1, 2, 3, 4, 5]
    assert linked["particle"].tolist() == [0, 0, 1, 0, 1]
    # Frames in which it was found count, not those between first and last.
    assert tracker(min_length=3).link(rows).index.tolist() == [1, 2, 4]
    nothing = tracker(min_length=9).link(rows)
    assert nothing.columns.tolist() == ["frame", "x", "y", "particle"]
    assert len(nothing) == 0


def test_a_missing_frame_uses_memory():
    rows = table([[627, 5, 5], [628, 5, 5], [630, 6, 5], [634, 6, 5], [639, 6, 5]])
    assert tracker().link(rows)["particle"].tolist() == [0, 0, 0, 0, 1]
    assert tracker(memory=0).link(rows)["particle"].tolist() == [0, 0, 1, 2, 3]


def test_distant_frames_take_no_time():
    rows = table([[0, 5, 5], [10**9, 5, 5], [4 * 10**9, 5, 5]])
    assert tracker(memory=1000).link(rows)["particle"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("drift", [False, True])
def test_empty_tables_and_single_frames(drift):
    added = ["particle", "x_corrected", "y_corrected"] if drift else ["particle"]
    empty = tracker(remove_drift=drift).link(table([]))
    assert empty.columns.tolist() == ["frame", "x", "y", *added]
    assert empty["particle"].dtype == np.int64
    assert len(empty) == 0
    from_csv = pd.DataFrame(columns=["frame", "x", "y"], dtype=object)
    assert tracker(remove_drift=drift).link(from_csv)["particle"].dtype == np.int64
    one = tracker(remove_drift=drift).link(table([[4, 1, 1], [4, 2, 2]]))
    assert one["particle"].tolist() == [0, 1]
    if drift:
        assert one["x_corrected"].tolist() == [1, 2]


def test_whole_floats_and_nullable_numbers_are_frames_too():
    rows = table([[0.0, 1, 1], [1.0, 1, 1]])
    nullable = rows.astype({"frame": "Int64", "x": "Float64"})
    for given_rows in (rows, nullable):
        linked = tracker().link(given_rows)
        assert linked["particle"].tolist() == [0, 0]
        assert linked["frame"].dtype == given_rows["frame"].dtype


def test_an_earlier_linking_is_replaced():
    rows = scattered()
    first = tracker().link(rows)
    again = tracker().link(first.assign(particle=7))
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table([[0, 1, 1]])[["frame", "x"]], r"no 'y'; the table has: frame, x"),
        (table([[0, 1, np.nan], [1, 1, 1]]), r"'y' .*finite.* 1 of 2 rows.* row 0"),
        (table([[0, 1, 1], [1, np.inf, 1]]), r"'x' .*finite.* row 1 "),
        (table([[0, 1, 1], [0.5, 1, 1]]), r"'frame' must hold whole numbers, found 0.5"),
        (table([[0, 1, 1], [1e300, 1, 1]]), r"'frame' must hold whole numbers, found 1e\+300"),
        (table([[0, 1, 1], [np.nan, 1, 1]]), r"'frame' .*finite"),
        (table([[0, 1, 1]]).astype({"frame": "Int64"}).replace(0, pd.NA), r"'frame' .*finite"),
        (table([[0, 1, 1]]).assign(x="wide"), r"'x' must hold numbers, found \w+ values"),
        (table([[0, 1, 1]]).assign(x=True), r"'x' must hold numbers, found bool"),
    ],
)
def test_other_input_is_refused_in_one_sentence(rows, message):
    with pytest.raises(FormatError, match=message) as caught:
        tracker().link(rows)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"search_range_px": 0},
        {"search_range_px": "inf"},
        {"memory": -1},
        {"memory": 1001},
        {"min_length": 0},
        {"adaptive_step": 1},
        {"adaptive_stop_px": 5},
        {"search_range": 5},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        tracker(**options)


def test_crowds_are_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr("defectscope.trackers.ordered_linker.LARGEST_SUBNETWORK", 40)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"frame": np.repeat([0, 1], 80)})
    rows["x"], rows["y"] = rng.uniform(0, 30, (2, 160))
    with pytest.raises(OptionError, match=r"frame 1 .*adaptive_stop_px"):
        tracker(search_range_px=10).link(rows)
    linked = tracker(search_range_px=10, adaptive_stop_px=0.5).link(rows)
    assert not linked.duplicated(["frame", "particle"]).any()


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("trackpy", {"gap_range_px": 9}, "gap_range_px changes nothing while max_gap is 0"),
        ("trackpy", {"size_ratio": 3}, "size_ratio changes nothing while max_gap is 0"),
        ("loops", {"max_gap": 0, "gap_range_px": 9}, "gap_range_px changes nothing"),
        ("trackpy", {"drift_smoothing": 9}, "drift_smoothing changes nothing while remove_drift"),
        ("trackpy", {"adaptive_step": 0.9}, "adaptive_step changes nothing while adaptive_stop_px"),
        ("trackpy", {"share_window": 5}, "share_window changes nothing while sighted_share is 0"),
        ("laptrack", {"share_window": 5}, "share_window changes nothing while sighted_share is 0"),
        ("laptrack", {"max_gap": 0, "gap_range_px": 9}, "gap_range_px changes nothing while max"),
    ],
)
def test_options_that_change_nothing_are_refused(name, options, text):
    host = default_host()
    with pytest.raises(OptionError, match=text):
        host.build("trackers", name, options, Runtime())


@pytest.mark.parametrize("name", ["trackpy", "loops", "laptrack"])
def test_defaults_may_be_written_out(name):
    host = default_host()
    usual = host.build("trackers", name, {}, Runtime()).options
    assert host.build("trackers", name, usual.model_dump(), Runtime()).options == usual
    # ... and one of them changed, as plans of runs hold them.
    assert host.build("trackers", name, usual.model_dump() | {"max_gap": 0}, Runtime())
