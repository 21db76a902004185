"""The spline metric: what it rewards, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.line_metrics import (
    LineComparison,
    LineScores,
    score_lines,
)
from defectscope.core.line_pairs import match_lines


def line(x0, y0, x1, y1, count=20):
    return np.linspace([x0, y0], [x1, y1], count)


LONG = line(10, 10, 110, 10)


def down(points, by):
    return points + np.array([0, by])


def test_the_truth_itself_is_perfect():
    scores = score_lines([LONG, line(0, 50, 80, 70)], [line(0, 50, 80, 70), LONG])
    assert scores.score == pytest.approx(1)
    assert (scores.precision, scores.recall) == (1, 1)
    assert scores.mean_distance_px == pytest.approx(0, abs=1e-9)
    assert (scores.merges, scores.splits) == (0, 0)


def test_the_score_falls_with_the_relative_length_error():
    assert score_lines([line(10, 10, 80, 10)], [LONG]).score == pytest.approx(0.7)
    assert score_lines([line(10, 10, 160, 10)], [LONG]).score == pytest.approx(0.5)
    assert score_lines([line(10, 10, 310, 10)], [LONG]).score == 0


def test_the_right_length_in_the_wrong_place_is_a_miss():
    scores = score_lines([line(10, 16, 110, 16)], [LONG])
    assert (scores.score, scores.matched) == (0, 0)
    assert score_lines([line(10, 14, 110, 14)], [LONG]).mean_distance_px == pytest.approx(4)


def test_invented_lines_show_in_precision_alone():
    scores = score_lines([LONG, line(0, 90, 50, 90)], [LONG])
    assert scores.score == 1
    assert scores.precision == 0.5


def test_where_nothing_is_true_f1_is_not_known():
    scores = score_lines([LONG], [])
    assert (scores.precision, scores.recall, scores.score, scores.f1) == (0, None, None, None)
    assert score_lines([], [LONG]).f1 == 0


def test_ignored_lines_are_neither_found_nor_missed():
    faint, invented = line(0, 60, 90, 60), line(0, 90, 50, 90)
    scores = score_lines([LONG, faint + 0.5, invented], [LONG], ignored=[faint])
    assert (scores.true, scores.predicted, scores.matched, scores.score) == (1, 2, 1, 1)
    # What counts comes first: a find of two lines is not lost to the ignored one.
    scores = score_lines([LONG], [LONG], ignored=[down(LONG, 1)])
    assert (scores.predicted, scores.matched) == (1, 1)


def test_an_ignored_line_may_be_found_in_pieces():
    faint, lone = line(0, 60, 90, 60), np.array([[50.0, 62.0]])
    pieces = [line(0, 60, 25, 60), line(30, 63, 55, 63), line(60, 60, 64, 60), lone]
    invented = line(80, 60, 80, 130)
    scores = score_lines([LONG, *pieces, invented], [LONG], ignored=[faint])
    assert (scores.predicted, scores.matched, scores.precision) == (2, 1, 0.5)
    # What is longer by far was not found of it.
    beyond = line(-200, 62, 300, 62)
    assert score_lines([faint, beyond], [], ignored=[faint]).predicted == 1


def test_a_line_is_matched_once():
    scores = score_lines([LONG, LONG + 0.5], [LONG])
    assert (scores.matched, scores.precision, scores.score) == (1, 0.5, 1)


def test_pairs_are_those_of_the_largest_sum():
    # The first prediction fits both, the second only the first truth.
    true = [LONG, down(LONG, 4)]
    found = [down(LONG, 2), down(LONG, -2)]
    match = match_lines(found, true)
    assert dict(zip(match.predicted.tolist(), match.true.tolist(), strict=True)) == {0: 1, 1: 0}


def test_a_line_of_one_point_is_no_error():
    scores = score_lines([np.array([[50.0, 10.0]])], [LONG])
    assert scores.score == 0
    assert score_lines([LONG], [np.array([[50.0, 10.0]])]).score == 0


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 6))
def test_scores_stay_within_their_limits_and_add_up(seed, found, true):
    rng = np.random.default_rng(seed)
    predicted = [rng.uniform(0, 60, (4, 2)) for _ in range(found)]
    truth = [rng.uniform(0, 60, (4, 2)) for _ in range(true)]
    scores = score_lines(predicted, truth)
    assert scores.matched <= min(found, true)
    assert 0 <= scores.quality <= scores.matched
    twice = scores + scores
    assert isinstance(twice, LineScores)
    assert (twice.score, twice.precision) == (scores.score, scores.precision)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**8 - 1), st.booleans(), st.booleans())
def test_part_of_the_lines_is_scored_as_if_there_were_no_others(seed, kept, ignoring, masked):
    rng = np.random.default_rng(seed)
    truth = [rng.uniform(0, 60, (4, 2)) for _ in range(5)]
    near = [line + rng.normal(0, 2, (1, 2)) for line in truth]
    predicted = [*near, *(rng.uniform(0, 60, (4, 2)) for _ in range(3))]
    ignored = [near[0] + 1] if ignoring else []
    unknown = np.tri(60, 60, dtype=bool) if masked else None
    rows = np.flatnonzero([(kept >> k) & 1 for k in range(len(predicted))])
    compared = LineComparison(predicted, truth[1:], ignored=ignored, unknown=unknown)
    alone = [predicted[k] for k in rows]
    found = score_lines(alone, truth[1:], ignored=ignored, unknown=unknown)
    assert compared.scores(rows) == found
    assert found.predicted == len(compared.counted(rows))
    assert set(compared.counted(rows)) <= set(rows)
