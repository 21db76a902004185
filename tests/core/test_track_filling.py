from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.track_filling import filled_tracks


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


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=25, unique=True))
def test_every_particle_is_in_every_frame_of_its_life(places):
    tracks = pd.DataFrame(places, columns=["frame", "particle"]).assign(x=0.0, y=1.0)
    filled = filled_tracks(tracks)
    assert not filled.duplicated(["frame", "particle"]).any()
    present = set(tracks["frame"])
    for _, own in filled.groupby("particle"):
        life = set(range(own["frame"].min(), own["frame"].max() + 1))
        assert set(own["frame"]) == life & present
