"""Voting over time, by hand and in general."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.calibration import Calibration
from defectscope.core.frame_rows import FrameRows, joined_table
from defectscope.core.tables import GEOMETRY_COLUMNS
from defectscope.core.votes import Vote
from defectscope.core.voting import VotingWindow

BOX = ["x_min", "y_min", "x_max", "y_max"]


def table(seen, side=10.0):
    """Return the rows of {frame: [(x, y), ...]}; boxes have their centres there."""
    rows = [
        (frame, k, "loop", 0.5, "detector", x, y, x - side / 2, y - side / 2, x + side / 2,
         y + side / 2, 2.0 * frame)
        for frame, places in seen.items() for k, (x, y) in enumerate(places)
    ]  # fmt: skip
    names = ["frame", "detection", "defect_type", "score", "origin", "x", "y", *BOX, "major_px"]
    return pd.DataFrame(rows, columns=names)


def columns_of(table):
    return {name: column.to_numpy() for name, column in table.items()}


def vote_detections(detections, vote, frames, geometry=None, calibration=None):
    """Return the tables of detections and vertices after a vote; `frames` were looked at."""
    rows, vertices = by_frame(detections), {} if geometry is None else by_frame(geometry)
    window, nothing = VotingWindow(vote, calibration), columns_of(detections.iloc[:0])
    voted = []
    for frame in sorted(set(frames)):
        voted += window.add(frame, FrameRows(frame, rows.get(frame, nothing), vertices.get(frame)))
    voted += window.rest()
    return (
        joined_table([f.detections for f in voted], dict(detections.dtypes)),
        joined_table([f.geometry for f in voted], GEOMETRY_COLUMNS),
    )


def by_frame(table):
    return {int(frame): columns_of(rows) for frame, rows in table.groupby("frame")}


def frames_of(seen, vote, **more):
    """Return the frames in which something stays or is filled in."""
    voted, _ = vote_detections(table(seen), Vote.parse(vote), frames=seen, **more)
    return voted["frame"].tolist()


THERE, NOTHING = [(50.0, 50.0)], []


@pytest.mark.parametrize("vote", ["1/1", "2/2", "2/3", "6/9", "9/9", "20/31"])
def test_what_is_in_every_frame_stays(vote):
    seen = dict.fromkeys(range(12), THERE)
    assert frames_of(seen, vote) == list(range(12))


def test_noise_found_once_goes():
    seen = {f: [*THERE, (200.0, 40.0)] if f == 5 else THERE for f in range(12)}
    voted, _ = vote_detections(table(seen), Vote(2, 3), frames=seen)
    assert voted["frame"].tolist() == list(range(12))
    assert set(voted["x"]) == {50.0}


def test_by_hand_with_two_of_three():
    # Sighted in 1, 2, 5 and 7 of 0 to 9. Frame 1 has 2 as its neighbour, and 6 lies between two.
    seen = {f: THERE if f in (1, 2, 5, 7) else NOTHING for f in range(10)}
    voted, _ = vote_detections(table(seen), Vote(2, 3), frames=seen)
    assert voted[["frame", "origin"]].to_numpy().tolist() == [
        [1, "detector"], [2, "detector"], [6, "interpolated"]
    ]  # fmt: skip


def test_at_the_ends_the_window_is_what_there_is():
    # The window of frame 0 is 0 and 1: two thirds of 2, rounded up, are 2.
    assert frames_of({0: THERE, 1: NOTHING, 2: NOTHING}, "2/3") == []
    assert frames_of({0: THERE, 1: THERE, 2: NOTHING, 3: NOTHING}, "2/3") == [0, 1]
    assert frames_of({0: THERE}, "6/9") == [0]


def test_an_even_window_looks_back():
    # The window of 2/2 is the frame before and the frame itself; the first has itself alone.
    assert frames_of({0: THERE, 1: THERE, 2: NOTHING}, "2/2") == [0, 1]
    assert frames_of({0: NOTHING, 1: THERE, 2: THERE}, "2/2") == [2]


def test_neighbours_go_by_frame_index():
    # 629 is missing: the windows of 628 and 630 have two frames, and both must show it.
    seen = {627: NOTHING, 628: THERE, 630: THERE, 631: NOTHING}
    assert frames_of(seen, "2/3") == []
    assert frames_of({**seen, 627: THERE}, "2/3") == [627, 628]
    # Frames so far apart that none is in the window of another keep what they have.
    assert frames_of({0: THERE, 50: THERE, 100: NOTHING}, "6/9") == [0, 50]


def test_a_frame_that_is_not_there_is_not_filled():
    seen = dict.fromkeys([0, 1, 3, 4], THERE)
    assert frames_of(seen, "3/5") == [0, 1, 3, 4]


def test_a_gap_is_filled_at_the_interpolated_place():
    seen = {f: [(50.0 + f, 50.0 - 0.5 * f)] for f in range(9) if f not in (3, 4)}
    seen = {f: seen.get(f, NOTHING) for f in range(9)}
    voted, _ = vote_detections(table(seen), Vote(4, 7), frames=seen)
    assert voted["frame"].tolist() == list(range(9))
    filled = voted[voted["origin"] == "interpolated"]
    assert filled["frame"].tolist() == [3, 4]
    np.testing.assert_allclose(filled[["x", "y"]], [(53.0, 48.5), (54.0, 48.0)])
    np.testing.assert_allclose(filled[BOX].iloc[0], [48, 43.5, 58, 53.5])
    np.testing.assert_allclose(filled["major_px"], [6.0, 8.0])


def test_what_is_filled_needs_as_many_sightings():
    # Two sightings of noise with a gap: 2 of 5 are filled, 3 of 5 are not.
    seen = {f: THERE if f in (3, 5) else NOTHING for f in range(9)}
    assert frames_of(seen, "2/5") == [3, 4, 5]
    assert frames_of(seen, "3/5") == []


def test_sightings_beside_a_gap_must_agree():
    seen = {f: [(50.0, 50.0)] if f < 4 else [(80.0, 50.0)] for f in range(9) if f != 4}
    assert frames_of({**dict.fromkeys(range(9), NOTHING), **seen}, "2/5") == [
        0,
        1,
        2,
        3,
        5,
        6,
        7,
        8,
    ]


def test_drift_from_frame_to_frame_is_followed():
    seen = {f: [(50.0 + 4 * f, 50.0)] for f in range(20)}
    assert frames_of(seen, "9/9") == list(range(20))


def test_a_frame_that_cannot_be_read_neither_votes_nor_gets_rows():
    window = VotingWindow(Vote(3, 3))
    rows = {f: columns_of(table({f: THERE})) for f in (0, 1, 3, 4)}
    out = []
    for frame in range(5):
        out += window.add(frame, FrameRows(frame, rows[frame]) if frame in rows else None)
    out += window.rest()
    assert [None if r is None else len(r) for r in out] == [1, 1, None, 1, 1]


def test_rows_come_out_as_soon_as_they_are_decided():
    window = VotingWindow(Vote(2, 5))
    counts = [len(window.add(f, FrameRows(f, columns_of(table({f: THERE}))))) for f in range(6)]
    assert counts == [0, 0, 1, 1, 1, 1]
    assert len(window.rest()) == 2
    assert VotingWindow(Vote(2, 5)).rest() == []


def test_no_more_frames_are_held_than_the_window_has():
    window = VotingWindow(Vote(6, 9))
    for frame in range(100):
        window.add(frame, FrameRows(frame, columns_of(table({frame: THERE}))))
        assert len(window._members) <= 9 + 1
    assert len(window._linker._ends.frames) <= 9


def test_times_and_doses_follow_the_calibration():
    seen = {f: THERE if f != 2 else NOTHING for f in range(5)}
    law = Calibration(frame_interval_s=0.1, dose_start_dpa=0.3, dose_per_frame_dpa=0.1)
    rows = table(seen)
    rows["time_s"], rows["dose_dpa"] = rows["frame"] * 0.1, 0.3 + rows["frame"] * 0.1
    voted, _ = vote_detections(rows, Vote(2, 3), seen, calibration=law)
    assert voted["time_s"].tolist() == [law.time_s(f) for f in range(5)]
    assert voted["dose_dpa"].tolist() == [law.dose_dpa(f) for f in range(5)]


def test_vertices_go_stay_and_are_made_with_their_detections():
    seen = {f: [(200.0, 9.0), *THERE] if f == 1 else THERE for f in range(6)}
    seen[3] = NOTHING
    rows = table(seen)
    vertices = pd.DataFrame(
        [(r.frame, r.detection, k, r.x + k, r.y) for r in rows.itertuples() for k in range(3)],
        columns=["frame", "detection", "vertex", "x", "y"],
    )
    voted, outlines = vote_detections(rows, Vote(2, 3), seen, vertices)
    assert voted[["frame", "detection"]].to_numpy().tolist() == [[f, 0] for f in range(6)]
    joined = outlines.merge(voted, on=["frame", "detection"], suffixes=("", "_centre"))
    assert len(joined) == len(outlines) == 18
    assert (joined["x"] == joined["x_centre"] + joined["vertex"]).all()


# --- in general


def series(seed, frames=14, lasting=6, noise=4):
    """Return drifting defects with gaps, and noise."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(20, 180, (lasting, 2))
    seen = {}
    for f in range(frames):
        places = [tuple(p) for p in start + rng.normal(0, 1, start.shape) if rng.random() < 0.8]
        seen[f] = places + [tuple(rng.uniform(0, 200, 2)) for _ in range(rng.integers(0, noise))]
    return table(seen), sorted(seen)


votes = st.integers(1, 9).flatmap(lambda n: st.builds(Vote, st.integers(1, n), st.just(n)))
seeds = st.integers(0, 2**32 - 1)


def comparable(rows):
    """Rows in an order of their own, without the numbers that hang on the order."""
    return rows.drop(columns="detection").sort_values(["frame", *BOX]).reset_index(drop=True)


@settings(max_examples=30)
@given(seeds)
def test_one_of_one_leaves_everything(seed):
    rows, frames = series(seed)
    voted, _ = vote_detections(rows, Vote(1, 1), frames)
    pd.testing.assert_frame_equal(voted, rows)


@settings(max_examples=30)
@given(seeds, votes)
def test_the_order_of_rows_does_not_matter(seed, vote):
    rows, frames = series(seed)
    mixed = rows.sample(frac=1, random_state=seed % 1000).sort_values("frame", kind="stable")
    mixed = mixed.assign(detection=mixed.groupby("frame").cumcount())
    one, _ = vote_detections(rows, vote, frames)
    other, _ = vote_detections(mixed, vote, frames)
    pd.testing.assert_frame_equal(comparable(one), comparable(other))


@settings(max_examples=30)
@given(seeds, votes)
def test_rows_are_kept_as_they_were_and_numbered(seed, vote):
    rows, frames = series(seed)
    voted, _ = vote_detections(rows, vote, frames)
    kept = comparable(voted[voted["origin"] == "detector"])
    assert len(kept.merge(comparable(rows), how="inner")) == len(kept)
    for _, own in voted.groupby("frame"):
        assert own["detection"].tolist() == list(range(len(own)))


@settings(max_examples=30)
@given(seeds, st.integers(2, 9))
def test_a_stricter_vote_keeps_less(seed, window):
    rows, frames = series(seed)
    counts = [
        int((vote_detections(rows, Vote(k, window), frames)[0]["origin"] == "detector").sum())
        for k in range(1, window + 1)
    ]
    assert counts[0] == len(rows)
    assert counts == sorted(counts, reverse=True)


@settings(max_examples=20)
@given(seeds, votes, st.integers(1, 13))
def test_a_series_may_be_voted_on_in_overlapping_pieces(seed, vote, start):
    rows, frames = series(seed)
    whole, _ = vote_detections(rows, vote, frames)
    first = start - vote.before
    late, _ = vote_detections(rows[rows["frame"] >= first], vote, [f for f in frames if f >= first])
    pd.testing.assert_frame_equal(
        late[late["frame"] >= start].reset_index(drop=True),
        whole[whole["frame"] >= start].reset_index(drop=True),
    )
