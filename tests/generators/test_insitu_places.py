"""Places of loops and their meetings, against what is computed pair by pair."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.geometry.ellipses import ellipse_points
from defectscope.generators.insitu_places import meeting_pairs, spread_out

LOW, HIGH = np.array([-10.0, 5.0]), np.array([90.0, 65.0])


def test_points_keep_apart_while_there_is_room():
    points = spread_out(LOW, HIGH, np.full(20, 7.0), np.random.default_rng(0))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[~np.eye(20, dtype=bool)]
    assert gaps.min() >= 7.0
    assert (points >= LOW).all()
    assert (points <= HIGH).all()


def test_those_that_want_less_come_nearer():
    distance = np.where(np.arange(60) < 15, 8.0, 2.0)
    points = spread_out(LOW, HIGH, distance, np.random.default_rng(1))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(60)
    assert gaps[:15, :15].min() >= 8.0
    assert 2.0 <= gaps.min() < 8.0


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_any_number_of_points(count):
    points = spread_out(LOW, HIGH, np.full(count, 20.0), np.random.default_rng(0))
    assert points.shape == (count, 2)
    if count == 5000:
        # Crowded, they are all over the place.
        assert np.abs(points.mean(axis=0) - (LOW + HIGH) / 2).max() < 2


def reach(major, minor, angle_deg, direction):
    """Return the half axis of an ellipse along a unit direction x, y, from its points."""
    points = ellipse_points(0.0, 0.0, major, minor, angle_deg, 6_000)
    along = points @ direction
    across = np.abs(points @ np.array([-direction[1], direction[0]]))
    across[along < 0] = np.inf
    return along[across.argmin()]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), capture=st.floats(0, 6), within=st.floats(0.05, 1))
def test_loops_meet_where_their_edges_do(seed, capture, within):
    rng = np.random.default_rng(seed)
    n = 12
    position, height = rng.uniform(0, 60, (n, 2)), rng.random(n)
    major = rng.uniform(4, 24, n)
    axes = major, major * rng.uniform(0.3, 1, n), rng.uniform(0, 180, n)
    gaps = {}
    for i, j in itertools.combinations(range(n), 2):
        way = position[j] - position[i]
        distance = float(np.hypot(*way))
        halves = [reach(*(a[k] for a in axes), way / distance) for k in (i, j)]
        gaps[i, j] = distance - sum(halves)
    meeting = {
        pair for pair, gap in gaps.items()
        if gap <= capture and abs(height[pair[0]] - height[pair[1]]) < within
    }  # fmt: skip
    unsure = {pair for pair, gap in gaps.items() if abs(gap - capture) < 0.01}
    found = [tuple(sorted(pair)) for pair in meeting_pairs(position, axes, height, within, capture)]
    assert set(found) <= meeting | unsure
    # Nobody meets two others in one frame, and nobody is left who could meet one more.
    busy = [k for pair in found for k in pair]
    assert len(set(busy)) == len(busy)
    assert all(set(pair) & set(busy) for pair in meeting - unsure)
    # The deepest overlap of all comes first.
    if found and not unsure:
        assert gaps[found[0]] == pytest.approx(min(gaps[pair] for pair in meeting), abs=1e-3)


def test_no_depth_in_common_and_no_loops():
    two = np.array([[0.0, 0.0], [1.0, 0.0]])
    axes = np.full(2, 10.0), np.full(2, 10.0), np.zeros(2)
    assert len(meeting_pairs(two, axes, np.zeros(2), 0.0, 0.0)) == 0
    assert len(meeting_pairs(two, axes, np.array([0.1, 0.9]), 0.5, 0.0)) == 0
    assert len(meeting_pairs(two, axes, np.array([0.1, 0.9]), 0.9, 0.0)) == 1
    none = np.zeros(0)
    assert len(meeting_pairs(np.zeros((0, 2)), (none, none, none), none, 1.0, 0.0)) == 0


def test_two_heights_are_as_near_as_the_option_says():
    rng = np.random.default_rng(0)
    for probability in (0.1, 0.5, 0.9):
        within = 1 - math.sqrt(1 - probability)
        near = np.abs(rng.random(20_000) - rng.random(20_000)) < within
        assert near.mean() == pytest.approx(probability, abs=0.015)
