"""Limits against a bootstrap computed by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from defectscope.pipeline.bootstrap import RESAMPLES, bootstrap_limits, resampled_frames


def test_limits_of_two_frames_by_hand():
    # One frame of F1 1 and one of F1 0; both have one true instance.
    counts = np.array([[1, 0, 0], [0, 1, 1]])
    frames = np.array([[2, 0], [1, 1], [1, 1], [0, 2]])
    # F1 is 1, 1/2, 1/2 and 0. In order 0, 1/2, 1/2, 1: the 2.5th percentile lies at 0.075 of the
    # way from the first to the second, the 97.5th at 0.925 from the third to the fourth.
    low, high = 0.075 * 0.5, 0.5 + 0.925 * 0.5
    for pair in bootstrap_limits(counts, frames).values():
        assert pair == pytest.approx((low, high))


def test_a_score_is_taken_over_sums_and_not_over_frames():
    # 3 of 4 found in one frame, 0 of 1 in the other: together 3 of 5, and not (3/4 + 0) / 2.
    counts = np.array([[3, 0, 1], [0, 0, 1]])
    limits = bootstrap_limits(counts, np.array([[1, 1]]))
    assert limits["recall"] == pytest.approx((0.6, 0.6))
    assert limits["precision"] == (1, 1)


def test_resamples_without_a_score_are_left_out():
    counts = np.array([[1, 0, 0], [0, 0, 0]])
    assert bootstrap_limits(counts, np.array([[2, 0], [0, 2]]))["f1"] == (1, 1)
    assert bootstrap_limits(counts, np.array([[0, 2]])) == {
        "precision": None,
        "recall": None,
        "f1": None,
    }


def test_every_resample_has_as_many_frames_and_all_are_the_same_each_time():
    frames = resampled_frames(5)
    assert frames.shape == (RESAMPLES, 5)
    assert (frames.sum(axis=1) == 5).all()
    # Each frame is drawn once on average.
    np.testing.assert_allclose(frames.mean(axis=0), 1, atol=0.1)
    np.testing.assert_array_equal(frames, resampled_frames(5))


def test_sequences_are_drawn_whole():
    frames = resampled_frames(7, sequences=[0, 0, 3, 3, 3, 5, 5])
    for own in (frames[:, :2], frames[:, 2:5], frames[:, 5:]):
        assert (own == own[:, :1]).all()
    assert (frames[:, [0, 2, 5]].sum(axis=1) == 3).all()


@pytest.mark.parametrize("sequences", [[0] * 4, [0, 1, 2, 3], [0, 0, 0, 1]])
def test_frames_are_drawn_where_there_are_no_sequences_of_several(sequences):
    np.testing.assert_array_equal(resampled_frames(4, sequences=sequences), resampled_frames(4))


def test_one_frame_cannot_be_resampled():
    assert resampled_frames(1) is None
    assert set(bootstrap_limits(np.array([[1, 0, 0]]), None).values()) == {None}


def test_limits_of_three_frames_are_those_of_all_27_samples():
    """Each sample as often as it can come; the lowest and highest F1 have 1 of 27, over 2.5 %."""
    counts = np.array([[41, 35, 1], [94, 24, 9], [109, 12, 16]])
    every = np.array([
        np.bincount(draw, minlength=3) for draw in itertools.product(range(3), repeat=3)
    ])  # fmt: skip
    expected = bootstrap_limits(counts, np.repeat(every, 40, axis=0))
    assert bootstrap_limits(counts, resampled_frames(3)) == expected
    assert expected["f1"] == pytest.approx((82 / 118, 218 / 246))
