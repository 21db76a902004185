"""Lines from maps that are known: what the tracer makes of a perfect network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.line_metrics import score_lines
from defectscope.detectors.line_tracer.targets import line_targets
from defectscope.detectors.line_tracer.tracing import TracingRules, tokens_of, traced

BINS = 16


def straight(start, stop, count=100):
    return np.linspace(start, stop, count)


def maps(lines, shape, rng=None):
    """Return the logits and offsets of a network that is right, up to noise."""
    targets = line_targets(lines, shape, BINS)
    presence = np.clip(targets.presence, 1e-3, 1 - 1e-3)
    logits = np.log(presence / (1 - presence))
    offsets = targets.offsets
    if rng is not None:
        logits = logits + rng.normal(0, 0.2, logits.shape)
        offsets = offsets + rng.normal(0, 0.25, offsets.shape)
    return logits.astype(np.float32), offsets.astype(np.float32)


def found_in(lines, shape=(160, 160), rules=None, rng=None):
    rules = rules or TracingRules()
    logits, offsets = maps(lines, shape, rng)
    tokens = tokens_of(logits, offsets, rules)
    return [line.points for line in traced(tokens, logits.max(axis=0), shape, rules)]


@settings(max_examples=40)
@given(st.floats(0, 180), st.floats(-2, 2), st.floats(-2, 2))
def test_a_straight_line_of_any_direction_is_found_to_a_tenth_of_a_pixel(angle, dx, dy):
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    line = np.array([80 + dx, 80 + dy]) + np.linspace(-55, 55, 120)[:, None] * way
    (found,) = found_in([line])
    assert distances_to_curve(found, line).mean() < 0.1
    assert polyline_length(found) == pytest.approx(110, abs=3.5)


@pytest.mark.parametrize("angle", [25, 40, 60, 90])
def test_lines_that_cross_are_followed_through_the_crossing(angle):
    turn = np.radians(angle)
    way = np.array([np.cos(turn), np.sin(turn)])
    lines = [straight([15, 80.4], [145, 80.4]), 80 + np.linspace(-65, 65, 150)[:, None] * way]
    found = found_in(lines)
    scores = score_lines(found, lines)
    assert len(found) == 2
    assert scores.score > 0.95
    assert scores.mean_distance_px < 0.4


def test_three_lines_through_one_point():
    turns = np.radians([10, 70, 130])
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    lines = [80 + np.linspace(-60, 60, 150)[:, None] * way for way in ways]
    found = found_in(lines)
    assert len(found) == 3
    assert score_lines(found, lines).score > 0.95


@pytest.mark.parametrize("apart", [4.0, 6.0])
def test_lines_that_nearly_touch_stay_two(apart):
    lines = [straight([10, 50.3], [150, 60.3]), straight([10, 50.3 + apart], [150, 60.3 + apart])]
    found = found_in(lines)
    assert len(found) == 2
    assert score_lines(found, lines).mean_distance_px < 0.3


def test_a_gap_is_joined_where_direction_says_so():
    rules = TracingRules()
    pieces = [straight([10, 80], [70, 80]), straight([75, 80.5], [150, 80.5])]
    (found,) = found_in(pieces, rules=rules)
    assert polyline_length(found) == pytest.approx(140, abs=4)


def test_a_wide_gap_with_nothing_in_it_is_not():
    pieces = [straight([10, 80], [65, 80]), straight([85, 80], [150, 80])]
    assert len(found_in(pieces)) == 2


def test_ends_that_point_elsewhere_are_not_joined():
    pieces = [straight([10, 80], [70, 80]), straight([73, 82], [73, 150])]
    assert len(found_in(pieces)) == 2


def seen_in(lines, shape=(160, 160)):
    """Return what is found where the network sees ends as well."""
    rules = TracingRules()
    logits, offsets = maps(lines, shape)
    tips = np.clip(line_targets(lines, shape, BINS).ends[0], 1e-3, 1 - 1e-3)
    tokens = tokens_of(logits, offsets, rules)
    found = traced(tokens, logits.max(axis=0), shape, rules, np.log(tips / (1 - tips)))
    return [line.points for line in found]


@pytest.mark.parametrize("gap", [4.5, 5.0])
def test_two_ends_that_face_each_other_stay_two(gap):
    lines = [straight([10, 80], [70, 80]), straight([70 + gap, 80.5], [150, 80.5])]
    found = seen_in(lines)
    assert len(found) == 2
    assert score_lines(found, lines).score > 0.95


@pytest.mark.parametrize(("passes_to", "ends_at"), [(150, 105), (120, 120)])
def test_a_line_that_ends_on_what_it_shares_is_whole(passes_to, ends_at):
    x = np.linspace(10, ends_at, 120)
    # From x = 85 on both are one line; they end together, or one ends first.
    curved = np.stack([x, 80 + 0.006 * np.square(np.minimum(x - 85, 0))], axis=1)
    lines = [straight([10, 80], [passes_to, 80]), curved]
    found = seen_in(lines)
    assert len(found) == 2
    assert score_lines(found, lines).score > 0.95


@pytest.mark.parametrize("angle", [4.0, 4.5])
def test_lines_that_share_most_of_their_way_stay_two(angle):
    turns = np.radians([10 - angle / 2, 10 + angle / 2])
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    lines = [80 + np.linspace(-65, 65, 150)[:, None] * way for way in ways]
    assert score_lines(seen_in(lines), lines).score > 0.95


def test_a_closed_loop_is_one_line():
    angle = np.linspace(0, 2 * np.pi, 300)
    ring = 80 + 40 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    (found,) = found_in([ring])
    assert polyline_length(found) == pytest.approx(2 * np.pi * 40, rel=0.05)
    assert distances_to_curve(found, ring).max() < 1


def test_a_line_to_the_rim_goes_on_to_the_rim():
    (found,) = found_in([straight([0, 40], [160, 44])])
    assert sorted([found[0, 0], found[-1, 0]]) == pytest.approx([0, 160], abs=0.5)
    assert (found >= 0).all()
    assert (found <= 160).all()


def test_nothing_gives_nothing():
    assert found_in([]) == []
    assert found_in([straight([50, 50], [53, 50])]) == []


def test_any_number_of_lines():
    lines = [straight([8, y], [150, y + 6]) for y in np.arange(6, 150, 5.0)]
    found = found_in(lines)
    assert len(found) == len(lines) == 29
    assert score_lines(found, lines).score > 0.97


def test_noise_of_the_network_is_smoothed_away():
    rng = np.random.default_rng(0)
    x = np.linspace(10, 150, 200)
    lines = [np.stack([x, y + 12 * np.sin(x / 40)], axis=1) for y in (30, 70, 110)]
    found = found_in(lines, rng=rng)
    scores = score_lines(found, lines)
    assert (scores.predicted, scores.matched) == (3, 3)
    assert scores.mean_distance_px < 0.25


def test_the_order_of_tokens_is_no_matter():
    rules, shape = TracingRules(), (160, 160)
    lines = [straight([15, 80], [145, 80]), straight([20, 20], [140, 140])]
    logits, offsets = maps(lines, shape)
    tokens = tokens_of(logits, offsets, rules)
    shuffled = tokens.only(np.random.default_rng(1).permutation(len(tokens.scores)))
    one, other = (traced(t, logits.max(axis=0), shape, rules) for t in (tokens, shuffled))
    assert score_lines([a.points for a in one], [b.points for b in other]).score > 0.99
