from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope import Runtime
from defectscope.core.errors import OptionError
from defectscope.plugins.host import default_host
from defectscope.plugins.testing import TrackerConformance
from defectscope.trackers.gap_closing import GapLimits, close_gaps
from defectscope.trackers.ordered_linker import link_positions
from defectscope.trackers.trackpy_linker import Loops, Trackpy


class TestLoops(TrackerConformance):
    component = Loops


def piece(track, frames, x, size=10.0):
    frames = np.asarray(list(frames))
    return pd.DataFrame({"frame": frames, "track": track, "x": float(x), "y": 0.0, "size": size})


def closed(*pieces, kinds=None, **limits):
    rows = pd.concat(pieces).sort_values(["frame", "track"], kind="stable", ignore_index=True)
    tracks = pd.factorize(rows["track"])[0].astype(np.int64)
    given = {"max_gap": 8, "range_px": 5.0, "size_ratio": 1.5, **limits}
    joined = close_gaps(
        rows["frame"].to_numpy(), rows[["y", "x"]].to_numpy(), tracks, GapLimits(**given),
        rows["size"].to_numpy(), None if kinds is None else rows["track"].map(kinds).to_numpy(),
    )  # fmt: skip
    return pd.Series(joined).groupby(rows["track"]).first().to_dict()


def test_a_gap_is_closed_up_to_its_limits():
    first, second = piece("a", range(5), 0), piece("b", range(13, 20), 3)
    assert closed(first, second) == {"a": 0, "b": 0}
    assert closed(first, second, max_gap=7) == {"a": 0, "b": 1}
    assert closed(first, second, range_px=2.9) == {"a": 0, "b": 1}
    assert closed(first, second, max_gap=0) == {"a": 0, "b": 1}


def test_the_size_decides_between_neighbours():
    first = piece("a", range(5), 0, 20)
    small, large = piece("b", range(8, 12), 1, 12), piece("c", range(8, 12), 3, 21)
    assert closed(first, small, large) == {"a": 0, "b": 1, "c": 0}
    # Without sizes the nearer one is taken.
    unknown = [p.assign(size=np.nan) for p in (first, small, large)]
    assert closed(*unknown) == {"a": 0, "b": 0, "c": 1}


def test_other_types_are_never_joined():
    first, second = piece("a", range(5), 0), piece("b", range(7, 12), 0)
    assert closed(first, second, kinds={"a": 0, "b": 1}) == {"a": 0, "b": 1}


def test_pieces_that_overlap_in_time_are_two_and_chains_are_one():
    assert closed(piece("a", range(6), 0), piece("b", range(5, 9), 1)) == {"a": 0, "b": 1}
    chain = [piece(k, range(10 * k, 10 * k + 5), 0.5 * k) for k in range(4)]
    assert closed(*chain) == dict.fromkeys(range(4), 0)


def test_ends_are_assigned_all_together():
    # Greedily, a would take c, the nearest, and leave nothing for b.
    pieces = [piece("a", range(5), 0), piece("b", range(5), 6),
              piece("c", range(7, 12), 2), piece("d", range(7, 12), -3.5)]  # fmt: skip
    assert closed(*pieces) == {"a": 0, "b": 1, "c": 1, "d": 0}


def flickering(seed=0, frames=60, count=25):
    """Loops far from each other, missed in bursts; the stage drifts, and jumps in frame 30."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(count // 5)), -1).reshape(-1, 2)
    home = 60 * grid + rng.uniform(-10, 10, grid.shape)
    parts = []
    for who, place in enumerate(home):
        seen = np.ones(frames, bool)
        for start in rng.integers(2, frames - 10, 2):
            seen[start : start + rng.integers(1, 9)] = False
        frame = np.flatnonzero(seen)
        at = place + rng.normal(0, 0.7, (len(frame), 2)) + 0.3 * frame[:, None]
        at[frame >= 30] += (70, -35)
        parts.append(pd.DataFrame({"frame": frame, "x": at[:, 0], "y": at[:, 1], "who": who,
                                   "diameter_px": 8.0 + who}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_loops_are_followed_through_flicker_drift_and_a_jump():
    detections = flickering()
    linked = (
        default_host().build("trackers", "loops", {"sighted_share": 0}, Runtime()).link(detections)
    )
    seen = linked[linked["origin"] == "detector"]
    assert seen.groupby("particle")["who"].nunique().max() == 1
    assert seen.groupby("who")["particle"].nunique().max() == 1
    filled = linked[linked["origin"] == "interpolated"]
    assert len(linked) == 25 * 60 - sum(  # all frames of each life
        60 - 1 - (g["frame"].max() - g["frame"].min()) for _, g in seen.groupby("who")
    )
    assert len(filled) > 50
    # Without the stage's movement particles rest, but for the jitter.
    spread = seen.groupby("particle")[["x_corrected", "y_corrected"]].std().to_numpy()
    assert spread.max() < 1.3
    plain = Trackpy().link(detections)
    assert plain["particle"].nunique() > 50


def test_crowded_frames_are_solved_and_not_refused():
    # Hundreds of particles that compete with each other, moved at random.
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 100, (2, 300, 2))
    frames = np.repeat([0, 1], 300)
    tracks = link_positions(frames, places.reshape(-1, 2), 8.0, memory=0)
    linked = [np.flatnonzero(tracks == t) for t in np.unique(tracks)]
    pairs = [p for p in linked if len(p) == 2]
    # As good as the best assignment of all: scipy's, with the same costs.
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    square = cdist(*places, "sqeuclidean")
    square[square > 64] = np.inf
    ends = np.full((300, 300), np.inf)
    np.fill_diagonal(ends, 64.0)
    cost = np.hstack([square, ends])
    best = cost[linear_sum_assignment(cost)].sum()
    flat = places.reshape(-1, 2)
    ours = sum(((flat[a] - flat[b]) ** 2).sum() for a, b in pairs) + 64 * (300 - len(pairs))
    assert ours == pytest.approx(best, rel=0.01)  # trackpy looks at ten neighbours at most


def test_too_crowded_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr("defectscope.trackers.ordered_linker.LARGEST_SUBNETWORK", 20)
    places = np.random.default_rng(0).uniform(0, 20, (100, 2))
    with pytest.raises(OptionError, match=r"too many particles compete.*in frame 1"):
        link_positions(np.repeat([0, 1], 50), places, 8.0, memory=0)


def test_a_size_counts_as_a_distance_on_demand():
    small, large = ("small", 10.0), ("large", 20.0)
    rows = [(0, 0.0, *small), (0, 4.0, *large), (1, 1.5, *large), (1, 5.5, *small)]
    table = pd.DataFrame(rows, columns=["frame", "x", "who", "diameter_px"]).assign(y=0.0)
    by_place = Trackpy(Trackpy.Options(search_range_px=8)).link(table)
    assert by_place["particle"].tolist() == [0, 1, 0, 1]
    by_size = Trackpy(Trackpy.Options(search_range_px=8, size_weight_px=10)).link(table)
    assert by_size["particle"].tolist() == [0, 1, 1, 0]


def test_what_flickers_is_dropped_and_not_filled_in():
    steady = [(frame, 0.0) for frame in range(40) if frame % 5]
    steady += [(frame, 200.0) for frame in range(40)]
    flickering_texture = [(frame, 100.0) for frame in range(0, 40, 4)]
    rows = pd.DataFrame([*steady, *flickering_texture], columns=["frame", "x"]).assign(y=0.0)
    rows = rows.sort_values("frame", kind="stable", ignore_index=True)
    linked = Loops(Loops.Options(remove_drift=False)).link(rows)
    assert set(linked["x"]) == {0.0, 200.0}
    assert sorted(linked.loc[linked["x"] == 0, "frame"]) == list(range(1, 40))
    everything = Loops(Loops.Options(remove_drift=False, sighted_share=0)).link(rows)
    assert (everything["x"] == 100).sum() == 37


def test_rows_filled_in_at_a_jump_stand_where_the_specimen_is():
    detections = flickering().assign(x_min=lambda t: t["x"] - 4)
    linked = (
        default_host().build("trackers", "loops", {"sighted_share": 0}, Runtime()).link(detections)
    )
    away = linked["x"] - linked["x_corrected"]
    assert (away.groupby(linked["frame"]).agg(np.ptp) < 1e-6).all()
    np.testing.assert_allclose(linked["x"] - linked["x_min"], 4, atol=1e-6)


def test_rows_filled_in_take_no_number_of_a_detection_that_was_left_out():
    rows = [(frame, 50.0, 50.0, 0) for frame in (0, 2, 3)] + [(1, 200.0, 200.0, 1)]
    # Of a second particle only, so that the frame is known.
    rows += [(frame, 90.0, 20.0, 2 if frame == 1 else 1) for frame in (0, 1, 2, 3)]
    rows.append((1, 300.0, 20.0, 3))
    detections = pd.DataFrame(rows, columns=["frame", "x", "y", "detection"])
    options = {"fill_gaps": True, "min_length": 2, "memory": 2}
    linked = default_host().build("trackers", "trackpy", options, Runtime()).link(detections)
    (filled,) = linked[linked["origin"] == "interpolated"]["detection"]
    assert filled == 4
