from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import trackpy

from defectscope.trackers.drift import estimate_drift
from defectscope.trackers.trackpy_linker import Trackpy, TrackpyOptions


def moving(drift, seed=0, count=60, jitter=0.2, missed=0.15, spacing=90.0):
    """Particles at rest seen under a known drift ((frames, 2) px, x and y); frame 20 is missing."""
    rng = np.random.default_rng(seed)
    home = spacing * np.stack(np.divmod(np.arange(count), 8), axis=1)
    home = home + rng.uniform(0, spacing / 3, (count, 2))
    frame, who = np.divmod(np.arange(len(drift) * count), count)
    at = home[who] + rng.normal(0, jitter, (len(who), 2))
    rows = pd.DataFrame({"frame": frame, "who": who, "home_x": at[:, 0], "home_y": at[:, 1]})
    rows["x"], rows["y"] = (at + (drift - drift[0])[frame]).T
    found = (rng.random(len(frame)) > missed) & (frame != 20)
    return rows[found].reset_index(drop=True)


def link(rows, **options):
    return Trackpy(TrackpyOptions(memory=8, **options)).link(rows)


def pure(linked):
    """Whether every particle is one true one, and every true one is one particle."""
    pairs = linked[["who", "particle"]].drop_duplicates()
    return not (pairs["who"].duplicated().any() or pairs["particle"].duplicated().any())


def test_a_steady_drift_of_one_px_a_frame_is_found():
    drift = np.outer(np.arange(60), [1.0, -0.5])
    rows = moving(drift)
    linked = link(rows, remove_drift=True)
    assert pure(linked)
    assert (linked["x_corrected"] - linked["home_x"]).abs().max() < 0.5
    assert (linked["y_corrected"] - linked["home_y"]).abs().max() < 0.5
    pd.testing.assert_frame_equal(linked[list(rows.columns)], rows)


def test_without_drift_nothing_moves_much():
    linked = link(moving(np.zeros((60, 2))), remove_drift=True)
    assert (linked["x_corrected"] - linked["x"]).abs().max() < 0.5


def test_removal_finds_particles_that_drifted_on_while_missed():
    rows = moving(np.outer(np.arange(60), [2.2, 0.0]))
    # Missed for two frames, they are 6.6 px further: beyond the search range unless corrected.
    assert link(rows)["particle"].nunique() > 1.5 * rows["who"].nunique()
    assert pure(link(rows, remove_drift=True))


def test_a_jump_within_the_search_range_is_taken_out():
    drift = np.zeros((60, 2))
    drift[30:] = [3.0, 2.0]
    linked = link(moving(drift), remove_drift=True)
    assert pure(linked)
    assert (linked["y_corrected"] - linked["home_y"]).abs().max() < 0.5


def test_a_jump_beyond_the_search_range_is_found_and_tracks_go_on():
    drift = np.zeros((60, 2))
    drift[30:] = [40.0, 0.0]
    linked = link(moving(drift), remove_drift=True)
    assert pure(linked)
    before, after = linked[linked["frame"] < 30], linked[linked["frame"] >= 30]
    crossing = set(before["particle"]) & set(after["particle"])
    assert len(crossing) > 0.95 * linked["who"].nunique()


def test_frames_that_share_no_particle_show_no_jump():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"frame": np.repeat([0, 1], 40), "x": 0.0, "y": 0.0})
    rows[["x", "y"]] = rng.uniform(0, 600, (80, 2))
    linked = link(rows, remove_drift=True)
    assert (linked["x_corrected"] - linked["x"]).abs().max() < 5


def test_smoothing_evens_out_measurement_noise():
    drift = np.outer(np.arange(60), [0.5, 0.0])
    rows = moving(drift, count=4, jitter=0.5, missed=0.0)
    tracks = rows["who"].to_numpy()
    frames, positions = rows["frame"].to_numpy(), rows[["y", "x"]].to_numpy()
    steps = []
    for smoothing in (0, 10):
        found = estimate_drift(frames, positions, tracks, smoothing)[:, 1]
        by_frame = pd.Series(found).groupby(frames).first()
        steps.append(by_frame.diff().iloc[12:].drop(21).std())
    assert steps[1] < 0.5 * steps[0]


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("smoothing", [0, 5])
def test_without_gaps_it_is_trackpys_estimate(smoothing):
    rows = moving(np.random.default_rng(0).normal(0, 1, (19, 2)).cumsum(axis=0))
    named = rows.rename(columns={"who": "particle"})
    expected = trackpy.compute_drift(named, smoothing)[["y", "x"]]
    positions, who = rows[["y", "x"]].to_numpy(), rows["who"].to_numpy()
    found = estimate_drift(rows["frame"].to_numpy(), positions, who, smoothing)
    by_frame = pd.DataFrame(found, columns=["y", "x"]).groupby(rows["frame"]).first()
    pd.testing.assert_frame_equal(by_frame.iloc[1:], expected)
    assert (by_frame.iloc[0] == 0).all()


@pytest.mark.parametrize(("count", "taken"), [(1, False), (4, False), (5, True)])
def test_few_particles_that_move_are_no_drift(count, taken):
    rows = moving(np.outer(np.arange(20), [1.0, 0.0]), count=count, jitter=0.0, missed=0.0)
    linked = link(rows, remove_drift=True)
    at = "home_x" if taken else "x"
    np.testing.assert_allclose(linked["x_corrected"], linked[at], atol=1e-9)


def test_as_few_as_are_asked_for_show_a_drift():
    frames, tracks = np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 0, 1, 0, 0])
    positions = np.stack([2.0 * frames, 100.0 * tracks], axis=1)
    for least, expected in ((1, 2 * frames), (2, [0, 0, 2, 2, 2, 2]), (3, np.zeros(6))):
        np.testing.assert_allclose(
            estimate_drift(frames, positions, tracks, 0, least)[:, 0], expected
        )


def test_gaps_and_unlinked_frames():
    frames = np.array([0, 1, 4, 5, 6])
    positions = np.array([[0, 0], [1, 2], [2, 4], [50, 50], [51, 52]], float)
    tracks = np.array([0, 0, 0, 1, 1])
    drift = estimate_drift(frames, positions, tracks)
    # From frame 1 to 4 is one step; from 4 to 5 nothing is known.
    np.testing.assert_allclose(drift, [[0, 0], [1, 2], [2, 4], [2, 4], [3, 6]])


@pytest.mark.parametrize(("smoothing", "unknown"), [(0, 0.0), (1, 0.0), (3, 2.0)])
def test_with_smoothing_an_unlinked_frame_moves_on_as_those_before(smoothing, unknown):
    # A steady drift of 2 px; what is seen from frame 3 on is another particle.
    frames = np.arange(7)
    positions = np.outer(2.0 * frames, [1.0, 0.0]) + np.where(frames < 3, 0, 100)[:, None]
    drift = estimate_drift(frames, positions, (frames >= 3).astype(int), smoothing)
    assert np.diff(drift[:, 0]).tolist() == [2, 2, unknown, 2, 2, 2]
    # Nothing is known before: it has not moved.
    apart = estimate_drift(frames, positions, frames, smoothing)
    assert not apart.any()


@pytest.mark.parametrize("smoothing", [0, 3])
def test_a_single_frame_has_not_drifted(smoothing):
    drift = estimate_drift(np.zeros(2, int), np.ones((2, 2)), np.arange(2), smoothing)
    np.testing.assert_array_equal(drift, np.zeros((2, 2)))
