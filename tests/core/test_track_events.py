"""Merges and splits of tracks, made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.track_events import track_events


def test_a_track_that_ends_in_a_growing_neighbour_has_merged(track):
    grown = np.where(np.arange(20) < 10, 10.0, np.hypot(10, 8))
    tracks = pd.concat([track(0, range(20), 0, grown), track(1, range(10), 9, 8)])
    (event,) = track_events(tracks).to_dict("records")
    assert (event["kind"], event["frame"], event["particle"], event["other"]) == (
        "merge", 10, 1, 0
    )  # fmt: skip
    assert event["area_share"] == pytest.approx(1)


@pytest.mark.parametrize(("ending", "other", "merges"), [(3, 6, 1), (2, 6, 0), (3, 5, 0)])
def test_how_many_sightings_a_merge_needs(track, ending, other, merges):
    frames = range(20 - other, 20)
    grown = np.where(np.arange(other) < 3, 10.0, np.hypot(10, 8))
    end = frames.start + 3
    tracks = pd.concat([track(0, frames, 0, grown), track(1, range(end - ending, end), 9, 8)])
    assert len(track_events(tracks)) == merges


def test_distances_and_areas_are_numbers_whatever_was_found(track):
    grown = np.where(np.arange(20) < 10, 10.0, BOTH)
    into = pd.concat([track(0, range(20), 0, grown), track(1, range(10), 9, 8)])
    for tracks in (into, joined(track), track(0, range(20)), into.iloc[:0]):
        events = track_events(tracks)
        assert [events[name].dtype.kind for name in events.columns[1:]] == list("iiiff")


def test_a_neighbour_that_does_not_grow_was_passed_over(track):
    tracks = pd.concat([track(0, range(20), 0, 10), track(1, range(10), 9, 8)])
    assert track_events(tracks).empty
    far = np.where(np.arange(20) < 10, 10.0, np.hypot(10, 8))
    assert track_events(pd.concat([track(0, range(20), 0, far), track(1, range(10), 40, 8)])).empty


def test_a_split_is_a_merge_in_reverse(track):
    shrunk = np.where(np.arange(20) < 10, np.hypot(10, 8), 10.0)
    tracks = pd.concat([track(0, range(20), 0, shrunk), track(1, range(10, 20), 9, 8)])
    (event,) = track_events(tracks).to_dict("records")
    assert (event["kind"], event["frame"], event["particle"], event["other"]) == (
        "split", 10, 1, 0
    )  # fmt: skip


BOTH = float(np.hypot(10, 8))


def joined(track, later=10, size=BOTH, x=3.5):
    """Return two loops that end side by side, and one that is there afterwards."""
    parts = [track(0, range(10), 0, 10.0, 0), track(1, range(10), 9, 8.0, 0),
             track(2, range(later, 20), x, size, 0)]  # fmt: skip
    return pd.concat(parts)


def test_two_that_end_where_one_as_large_as_both_begins_have_merged(track):
    events = track_events(joined(track))
    assert events[["kind", "frame", "particle", "other"]].to_numpy().tolist() == [
        ["merge", 10, 0, 2], ["merge", 10, 1, 2]
    ]  # fmt: skip
    assert events["area_share"].tolist() == pytest.approx([1, 1])
    table = joined(track)
    events = track_events(table.assign(frame=19 - table["frame"]))
    assert events[["kind", "frame", "particle", "other"]].to_numpy().tolist() == [
        ["split", 10, 0, 2], ["split", 10, 1, 2]
    ]  # fmt: skip


@pytest.mark.parametrize("change", [{"later": 12}, {"size": 7.0}, {"size": 20.0}, {"x": 12.0}])
def test_one_that_begins_later_elsewhere_or_of_another_size_is_another_one(track, change):
    assert track_events(joined(track, **change)).empty


def test_long_loops_touch_at_their_ends(track):
    grown = np.where(np.arange(20) < 10, 10.0, np.hypot(10, 10))
    tracks = pd.concat([track(0, range(20), 0, grown, 0), track(1, range(10), 19, 10.0, 0)])
    assert track_events(tracks).empty
    (event,) = track_events(tracks.assign(major_px=20.0)).to_dict("records")
    assert (event["kind"], event["particle"], event["other"]) == ("merge", 1, 0)


def test_nothing_and_sizes_that_are_unknown(track):
    tracks = track(0, range(5))
    assert track_events(tracks.iloc[:0]).empty
    assert track_events(tracks.drop(columns="diameter_px")).empty
    assert track_events(tracks.assign(diameter_px=np.nan)).empty


def test_a_particle_of_unknown_size_has_not_ended(track):
    grown = np.where(np.arange(20) < 10, 10.0, BOTH)
    unknown = np.where(np.arange(20) < 10, 8.0, np.nan)
    beside = pd.concat([track(0, range(20), 0, grown), track(1, range(20), 9, unknown)])
    assert track_events(beside).empty
    assert track_events(beside.assign(frame=19 - beside["frame"])).empty


def test_one_that_ends_after_its_size_became_unknown_has_merged(track):
    grown = np.where(np.arange(20) < 10, 10.0, BOTH)
    grown[9:12] = np.nan
    unknown = np.where(np.arange(10) < 8, 8.0, np.nan)
    tracks = pd.concat([track(0, range(20), 0, grown), track(1, range(10), 9, unknown)])
    (event,) = track_events(tracks).to_dict("records")
    assert (event["kind"], event["frame"], event["particle"], event["other"]) == (
        "merge", 10, 1, 0
    )  # fmt: skip
    assert event["area_share"] == pytest.approx(1)


@pytest.mark.parametrize("frames", [5 * np.arange(20), np.r_[461:471, 472:482], np.r_[:10, 13:23]])
def test_frames_need_not_follow_each_other_by_number(track, frames):
    grown = np.where(np.arange(20) < 10, 10.0, BOTH)
    went_on = pd.concat([track(0, range(20), 0, grown), track(1, range(10), 9, 8)])
    for tracks in (went_on, joined(track)):
        events = track_events(tracks)
        renamed = tracks.assign(frame=frames[tracks["frame"]])
        found = track_events(renamed, frames)
        pd.testing.assert_frame_equal(found, events.assign(frame=frames[events["frame"]]))
        assert (found["frame"] == frames[10]).all()
        reverse = track_events(renamed.assign(frame=-renamed["frame"]), -frames)
        assert reverse["kind"].eq("split").all()
        assert (reverse["frame"] == -frames[9]).all()
        assert len(reverse) == len(events) > 0
