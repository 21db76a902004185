from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.track_filling import filled_tracks
from defectscope.core.track_quality import track_quality


def test_every_kind_of_track_is_called_by_its_name(track):
    jumping = track(4, range(20), 300)
    jumping.loc[jumping["frame"] >= 10, "x"] += 30
    tracks = pd.concat(
        [track(0, range(20)), track(1, [3], 100), track(2, [3, 4], 150),
         track(3, [0, 9, 19], 200), jumping]
    )  # fmt: skip
    table = track_quality(filled_tracks(tracks)).set_index("particle")
    assert table["quality"].to_dict() == {
        0: "good", 1: "single", 2: "stub", 3: "patchy", 4: "jumping"
    }  # fmt: skip
    assert table["sightings"].tolist() == [20, 1, 2, 3, 20]
    assert table["interpolated"].tolist() == [0, 0, 0, 17, 0]
    assert table.loc[3, ["gaps", "longest_gap"]].tolist() == [2, 9]
    assert table.loc[3, "found_share"] == pytest.approx(3 / 20)
    assert table.loc[4, "largest_step_px"] == pytest.approx(30.1)
    assert table["jumps"].tolist() == [0, 0, 0, 0, 1]


def test_a_track_that_was_never_seen_is_called_filled(track):
    tracks = pd.concat([track(0, range(5)), track(1, [3, 4], 100), track(2, range(3), 200)])
    tracks["origin"] = np.where(tracks["particle"] == 1, "interpolated", "detector")
    table = track_quality(tracks).set_index("particle")
    assert table["quality"].to_dict() == {0: "good", 1: "filled", 2: "good"}
    assert table["sightings"].tolist() == [5, 0, 3]
    assert table["interpolated"].tolist() == [0, 2, 0]
    assert table["found_share"].tolist() == [1, 0, 1]


def test_nothing(track):
    assert track_quality(track(0, range(5)).iloc[:0]).empty


def test_gaps_and_shares_count_the_frames_that_were_looked_at(track):
    tracks = pd.concat([track(0, range(0, 60, 5)), track(1, [0, 5, 15, 20], 100)])
    table = track_quality(tracks, 5).set_index("particle")
    assert table["quality"].tolist() == ["good", "good"]
    assert table["longest_gap"].tolist() == [0, 1]
    assert table["found_share"].tolist() == [1, 4 / 5]


def test_frames_that_could_not_be_read_are_no_gaps(track):
    # Every second of 20 frames, of which two were damaged and one is missing; one found nothing.
    looked_at = [f for f in range(0, 40, 2) if f not in (4, 6, 20)]
    tracks = pd.concat([track(0, [f for f in looked_at if f != 10]), track(1, [2, 8, 22], 100)])
    table = track_quality(tracks, 2, looked_at).set_index("particle")
    assert table["gaps"].tolist() == [1, 1]
    assert table["longest_gap"].tolist() == [1, 5]
    assert table["found_share"].tolist() == [16 / 17, 3 / 8]
    assert table["quality"].tolist() == ["good", "patchy"]
    # What was filled in was not seen there.
    damaged = tracks.iloc[:1].assign(frame=4, origin="interpolated")
    filled = pd.concat([tracks.assign(origin="detector"), damaged])
    again = track_quality(filled, 2, looked_at).set_index("particle")
    assert again["found_share"].tolist() == table["found_share"].tolist()
    assert again["interpolated"].tolist() == [1, 0]
