"""Anchors, decoding and ignored boxes of Faster R-CNN."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.detectors.faster_rcnn.anchors import anchors_of
from defectscope.detectors.faster_rcnn.decoding import decoded


def test_anchors_are_where_sizes_are():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([np.full((40, 2), s) for s in (8.0, 20.0, 50.0)])
    sizes *= rng.uniform(0.98, 1.02, sizes.shape)
    levels = anchors_of(sizes, 3, 1, seed=0)
    np.testing.assert_allclose(
        [level[0] for level in levels], [[8] * 2, [20] * 2, [50] * 2], rtol=0.05
    )
    assert levels == anchors_of(sizes, 3, 1, seed=0)


def test_one_box_is_enough():
    levels = anchors_of(np.array([[12.0, 20.0]]), 3, 3, seed=0)
    areas = [w * h for level in levels for w, h in level]
    assert len(areas) == 9
    assert areas == sorted(areas)
    assert 60 < min(areas) < 240 < max(areas) < 960


def test_corrections_are_those_of_torchvision():
    torch = pytest.importorskip("torch")
    det = pytest.importorskip("torchvision.models.detection._utils")
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 50, (20, 2))
    proposals = np.concatenate([corners, corners + rng.uniform(5, 40, (20, 2))], 1).astype("f4")
    deltas = rng.normal(size=(20, 12)).astype("f4")
    logits = rng.normal(size=(20, 3)).astype("f4")
    found = decoded(proposals, logits, deltas, 0.0)
    expected = det.BoxCoder((10.0, 10.0, 5.0, 5.0)).decode(
        torch.from_numpy(deltas), [torch.from_numpy(proposals)]
    )
    np.testing.assert_allclose(found.boxes, expected[:, 1:].reshape(-1, 4), atol=1e-4)
    scores = torch.from_numpy(logits).softmax(1)[:, 1:].reshape(-1)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)


def test_wrong_ones_on_ignored_boxes_are_left_out_of_both_stages():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    from defectscope.detectors.faster_rcnn.architecture import Architecture
    from defectscope.detectors.faster_rcnn.network import FasterRcnnNetwork

    level = ((10.0, 10.0),)
    network = FasterRcnnNetwork(Architecture(anchors=(level,) * 3, fpn_channels=8, head_channels=8))
    boxes = torch.tensor([[0, 0, 10, 10], [30, 30, 40, 40], [60, 60, 70, 70]]).float()
    target = {
        "boxes": boxes[:1], "labels": torch.tensor([1]),
        "ignored": torch.tensor([[28.0, 28.0, 38.0, 38.0]]),
    }  # fmt: skip
    labels, _ = network.rpn.assign_targets_to_anchors([boxes], [target])
    assert labels[0].tolist() == [1, -1, 0]
    heads = network.roi_heads
    heads._ignored = [target["ignored"]]
    _, kinds = heads.assign_targets_to_proposals([boxes], [boxes[:1]], [target["labels"]])
    assert kinds[0].tolist() == [1, -1, 0]
