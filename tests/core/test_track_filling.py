from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.frame_rows import FrameRows
from defectscope.core.gap_filling import Gap, rows_between
from defectscope.core.track_filling import filled_tracks, sighted_shares


def rows(*entries):
    names = ["frame", "particle", "x", "y", "angle_deg", "defect_type", "detection"]
    return pd.DataFrame(entries, columns=names)


def test_a_gap_is_filled_linearly_and_marked():
    tracks = rows(
        (10, 3, 0.0, 8.0, 170.0, "a", 0), (11, 9, 5.0, 5.0, 0.0, "b", 0),
        (12, 9, 5.0, 5.0, 0.0, "b", 0), (13, 3, 3.0, 2.0, 20.0, "c", 0),
    )  # fmt: skip
    filled = filled_tracks(tracks)
    assert filled["origin"].tolist() == ["detector"] * 4 + ["interpolated"] * 2
    pd.testing.assert_frame_equal(filled.iloc[:4].drop(columns="origin"), tracks)
    new = filled.iloc[4:]
    assert new["frame"].tolist() == [11, 12]
    assert new["particle"].tolist() == [3, 3]
    np.testing.assert_allclose(new["x"], [1, 2])
    np.testing.assert_allclose(new["y"], [6, 4])
    # The shorter way round half a turn, from 170 over 180 to 20.
    np.testing.assert_allclose(new["angle_deg"], [0, 10])
    assert new["defect_type"].tolist() == ["a", "c"]
    assert new["detection"].tolist() == [1, 1]  # numbered on in their frames


def test_frames_that_are_missing_and_longer_gaps_stay_open():
    tracks = rows((1, 0, 0.0, 0.0, 0.0, "a", 0), (4, 0, 3.0, 0.0, 0.0, "a", 0),
                  (3, 1, 9.0, 9.0, 0.0, "a", 0))  # fmt: skip
    assert filled_tracks(tracks)["frame"].tolist() == [1, 4, 3, 3]  # there is no frame 2
    assert len(filled_tracks(tracks, longest_gap=1)) == 3


def test_no_rows_and_unknown_sizes():
    nothing = filled_tracks(rows().astype({"frame": int, "particle": int}))
    assert nothing.empty
    tracks = rows((0, 0, 0.0, 0.0, np.nan, "a", 0), (2, 0, 2.0, 0.0, 4.0, "a", 0),
                  (1, 1, 0.0, 0.0, 4.0, "a", 0))  # fmt: skip
    assert np.isnan(filled_tracks(tracks)["angle_deg"].iloc[-1])  # that of the earlier sighting


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("contrast", 2.0, 6.0), ("fit", 0.0, 1.0), ("curvature_per_px", 0.0, 1.0), ("x", 1, 4),
        ("order", 1, 4), ("angle_deg", 170.0, 20.0), ("major_px", 0.0, 1.0), ("depth", 2.0, np.nan),
        ("note", "a", "b"), ("x_corrected", 1.0, 3.0), ("at_rim", True, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("frame", [1, 2])
def test_a_vote_and_a_tracker_fill_in_the_same(name, first, second, frame):
    # Three frames apart, so that one is nearer.
    row = {"detection": 0, "defect_type": "a", "x": 0.0, "y": 0.0}
    ends = [pd.DataFrame([{**row, "frame": f, name: v}]) for f, v in ((0, first), (3, second))]
    columns = [{key: column.to_numpy() for key, column in e.items()} for e in ends]
    before, after = (FrameRows(int(c["frame"][0]), c) for c in columns)
    voted, _ = rows_between(frame, [Gap(before, 0, after, 0)])
    others = pd.DataFrame([{**row, "frame": f, "particle": 1, name: first} for f in range(4)])
    filled = filled_tracks(pd.concat([*(e.assign(particle=0) for e in ends), others]))
    mine = filled[(filled["particle"] == 0) & (filled["frame"] == frame)]
    tracked, voted_one = mine[name].iloc[0], voted[name][0]
    assert tracked == voted_one or (np.isnan(tracked) and np.isnan(voted_one))
    if name == "contrast":
        assert tracked == pytest.approx(2 + 4 * frame / 3)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=25, unique=True))
def test_every_particle_is_in_every_frame_of_its_life(places):
    tracks = pd.DataFrame(places, columns=["frame", "particle"]).assign(x=0.0, y=1.0)
    filled = filled_tracks(tracks)
    assert not filled.duplicated(["frame", "particle"]).any()
    present = set(tracks["frame"])
    for _, own in filled.groupby("particle"):
        life = set(range(own["frame"].min(), own["frame"].max() + 1))
        assert set(own["frame"]) == life & present


def test_frames_in_which_nothing_was_found_are_filled_and_count():
    tracks = rows((1, 0, 0.0, 0.0, 0.0, "a", 0), (4, 0, 3.0, 0.0, 0.0, "a", 0)).assign(
        x_corrected=[0.0, 1.0], y_corrected=0.0
    )
    filled = filled_tracks(tracks, looked_at=[1, 2, 4, 5])
    assert filled["frame"].tolist() == [1, 4, 2]  # frame 3 could not be read
    assert filled["x"].iloc[-1] == pytest.approx(1.0)
    assert filled["detection"].iloc[-1] == 0
    assert sighted_shares(tracks, tracks, 9).tolist() == [1, 1]
    assert sighted_shares(tracks, tracks, 9, [1, 2, 4, 5]) == pytest.approx([2 / 3, 2 / 3])
    assert filled_tracks(tracks, None, 0.7, 9, looked_at=[1, 2, 4, 5])["frame"].tolist() == [1, 4]


def test_frames_with_detections_of_no_track_are_filled():
    tracks = rows((1, 0, 0.0, 0.0, 0.0, "a", 0), (3, 0, 3.0, 0.0, 0.0, "a", 0))
    others = rows((2, 9, 9.0, 9.0, 0.0, "a", 0))
    filled = filled_tracks(tracks, detections=pd.concat([tracks, others]))
    assert filled["frame"].tolist() == [1, 3, 2]
    assert filled["detection"].iloc[-1] == 1


def test_positions_in_nm_stay_those_in_px_where_the_stage_moved():
    # 100 px between the two sightings, which the other particle tells of frame 1 too.
    tracks = rows((0, 0, 5.0, 7.0, 0.0, "a", 0), (2, 0, 105.0, 7.0, 0.0, "a", 0),
                  (1, 1, 150.0, 9.0, 0.0, "a", 0)).assign(
        x_corrected=[5.0, 5.0, 50.0], y_corrected=[7.0, 7.0, 9.0],
        start_x_px=[5.0, 105.0, 150.0], start_x_nm=[2.5, 52.5, 75.0],
    )  # fmt: skip
    filled = filled_tracks(tracks)
    assert filled.iloc[-1][["frame", "x", "start_x_px", "start_x_nm"]].tolist() == [
        1, 105, 105, 52.5,
    ]  # fmt: skip
