"""Scores of a line by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.metrics import Counts
from defectscope.pipeline.benchmark_scores import IOUS, score_line
from defectscope.plugins.host import PluginHost

SHAPE = (48, 64)
HOST = PluginHost(entry_points=())


def squares(*corners, size=6.0, **more):
    """Return squares with their upper left corners at (x, y)."""
    boxes = np.array([[x, y, x + size, y + size] for x, y in corners], float).reshape(-1, 4)
    return ds.Instances(SHAPE, boxes, defect_types="loop", **more)


def dataset(*frames):
    return Dataset([LabelledImage(f"f{k}.png", found, k) for k, found in enumerate(frames)])


def line(predicted, true, iou=0.5):
    return score_line(dataset(*predicted), dataset(*true), iou, HOST)


def test_one_frame_has_no_limits():
    scores = line([squares((1, 1))], [squares((1, 1))])
    assert scores.limits == {"precision": None, "recall": None, "f1": None}
    assert scores.over_iou["f1"].eq(1).all()
    assert scores.over_iou["f1_low"].isna().all()


def test_frames_of_a_sequence_that_are_all_alike_count_once():
    """Of two sequences one is found and the other is not, in each of their frames."""
    true = [LabelledImage(f"s{s}-{k}.png", squares((1, 1)), k) for s in (0, 1) for k in range(20)]
    found = [
        LabelledImage(image.file_name, image.instances if n < 20 else squares(), image.frame)
        for n, image in enumerate(true)
    ]
    scores = score_line(Dataset(found), Dataset(true), 0.5, HOST)
    assert scores.limits["recall"] == (0, 1)
    assert scores.as_dict()["resampled"] == "sequences"
    assert line([squares((1, 1))] * 2, [squares((1, 1))] * 2).resampled == "frames"


@pytest.fixture
def scores():
    """Two frames: all found with a weak false alarm, and one of two found."""
    first = squares((1, 1), (20, 20), (40, 30), scores=[0.9, 0.8, 0.3])
    second = squares((1, 1), scores=[0.6])
    return line([first, second], [squares((1, 1), (20, 20)), squares((1, 1), (50, 5))])


def test_totals_are_those_of_evaluate(scores):
    assert scores.evaluation.overall == Counts(3, 1, 1)
    low, high = scores.limits["precision"]
    # A frame alone has a precision of 2/3 or 1.
    assert low == pytest.approx(2 / 3)
    assert high == 1
    assert scores.over_iou["iou"].tolist() == list(IOUS)
    at = scores.over_iou.set_index("iou").loc[0.5]
    assert at["f1"] == scores.evaluation.overall.f1 == 0.75


def test_f1_over_the_score_by_hand(scores):
    curve = scores.over_score.set_index("score")
    assert curve.loc[0.0, "f1"] == 0.75
    # Without the false alarm of score 0.3; then without the hit of score 0.6; then only one.
    assert curve.loc[0.325, "f1"] == pytest.approx(6 / 7)
    assert curve.loc[0.65, "f1"] == pytest.approx(4 / 6)
    assert curve.loc[0.85, "f1"] == pytest.approx(2 / 5)
    assert curve.loc[1.0, "f1"] == 0
    assert scores.best_score == {"score": 0.325, "f1": pytest.approx(6 / 7)}
    assert (curve["f1_low"] <= curve["f1"]).all()
    assert (curve["f1"] <= curve["f1_high"]).all()


def test_the_best_score_is_none_under_which_nothing_was_kept():
    found = line([squares((1, 1), (20, 20), scores=[0.9, 0.5])], [squares((1, 1), (20, 20))])
    assert found.best_score == {"score": 0.5, "f1": 1}
    assert found.over_score.loc[0, "f1"] == 1


def test_errors_of_each_frame_are_those_of_evaluate(scores):
    rows = scores.per_frame
    assert rows["name"].tolist() == ["f0", "f1"]
    assert rows["count_error"].tolist() == [0.5, -0.5]
    sizes = scores.evaluation.sizes
    assert rows["count_error"].abs().mean() == sizes["mean_absolute_count_error_per_frame"]
    assert rows["median_side_error"].mean() == sizes["median_side_error_per_frame"] == 0


def test_overlap_is_stepped_through():
    # A shift of 2 in 6 px: an overlap of 4 / 8.
    curve = line([squares((3, 1))], [squares((1, 1))]).over_iou.set_index("iou")["f1"]
    assert curve.loc[:0.5].eq(1).all()
    assert curve.loc[0.55:].eq(0).all()


def test_scores_above_one_and_below_zero_are_stepped_through():
    found = squares((1, 1), (20, 20), scores=[7.0, -1.0])
    curve = line([found], [squares((1, 1))]).over_score
    assert (curve["score"].iloc[0], curve["score"].iloc[-1]) == (-1, 7)
    assert curve["f1"].iloc[-1] == 1


def test_ignored_truth_is_neither_hit_nor_miss():
    true = squares((1, 1), (20, 20), (40, 30), ignore=[False, True, True])
    found = line([squares((1, 1), (20, 20))] * 2, [true] * 2)
    assert found.evaluation.overall == Counts(2, 0, 0)
    assert found.limits["f1"] == (1, 1)


@pytest.mark.parametrize("there", [True, False])
def test_nothing_found_is_fit_for_json(there):
    nothing = squares()
    true = squares((1, 1)) if there else nothing
    found = line([nothing, nothing], [true, nothing])
    values = found.as_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["limits"]["precision"] is None
    assert found.evaluation.overall.f1 == (0 if there else None)
    assert (found.best_score is None) == (not there)
