"""Anchors, decoding and ignored boxes of Faster R-CNN."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from defectscope import Instances, TrainingData, TrainingJob
from defectscope.core.errors import OptionError
from defectscope.core.options import validate_options
from defectscope.detectors.faster_rcnn.anchors import anchors_of, sizes_in
from defectscope.detectors.faster_rcnn.decoding import decoded
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.detectors.learning.plans import noted_plan


def test_anchors_are_where_sizes_are():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([np.full((40, 2), s) for s in (8.0, 20.0, 50.0)])
    sizes *= rng.uniform(0.98, 1.02, sizes.shape)
    levels = anchors_of(sizes, 3, 1, seed=0)
    np.testing.assert_allclose(
        [level[0] for level in levels], [[8] * 2, [20] * 2, [50] * 2], rtol=0.05
    )
    assert levels == anchors_of(sizes, 3, 1, seed=0)


class Series(TrainingData):
    """Empty frames, then one box in each, which grows."""

    length = 100

    def load(self, number):
        raise AssertionError("pixels are not needed")

    def truth(self, number):
        count = int(number >= 40)
        boxes = [[5, 5, 5 + number, 6 + number], [0, 0, 3, 3]][: 2 * count]
        return Instances((128, 128), np.reshape(boxes, (-1, 4)), defect_types=["loop"] * 2 * count,
                         ignore=[False, True][: 2 * count])  # fmt: skip


def test_sizes_come_from_labelled_frames_all_over_a_series():
    sizes = sizes_in(Series(), 6)
    assert sizes[:, 0].tolist() == [45, 55, 65, 75, 85, 95]
    assert (sizes[:, 1] == sizes[:, 0] + 1).all()
    assert len(sizes_in(Series(), 100)) == 60


def test_sizes_of_an_endless_recipe_are_those_of_its_first_frames():
    endless = Series()
    endless.length = None
    assert sizes_in(endless, 43)[:, 0].tolist() == [40, 41, 42]


def test_one_box_is_enough():
    levels = anchors_of(np.array([[12.0, 20.0]]), 3, 3, seed=0)
    areas = [w * h for level in levels for w, h in level]
    assert len(areas) == 9
    assert areas == sorted(areas)
    assert 60 < min(areas) < 240 < max(areas) < 960


@pytest.mark.parametrize("rotate", [False, True])
def test_shapes_that_only_turned_frames_have_get_no_anchors(rotate):
    pytest.importorskip("torch")
    from defectscope.detectors.faster_rcnn.architecture import Architecture
    from defectscope.detectors.faster_rcnn.training import new_architecture

    class Flat(Series):
        """Boxes that are all wider than high."""

        defect_types = ("loop",)

        def truth(self, number):
            boxes = [[2, 2, 42 + number / 2, 12 + number / 9]]
            return Instances((128, 128), boxes, defect_types="loop")

    options = FasterRcnnTrainingOptions(rotate=rotate)
    made = new_architecture(TrainingJob(Flat(), Path("x.safetensors"), options), Architecture)
    high = [h > w for level in made.anchors for w, h in level]
    assert any(high) == rotate


def test_a_training_that_is_resumed_keeps_its_anchors(tmp_path):
    pytest.importorskip("torch")
    from defectscope.detectors.faster_rcnn.architecture import Architecture
    from defectscope.detectors.faster_rcnn.training import new_architecture

    data, options = Series(), FasterRcnnTrainingOptions(anchors_per_level=1)
    data.defect_types = ("loop",)
    job = TrainingJob(data, tmp_path / "x.safetensors", options)
    fresh = new_architecture(job, Architecture)
    # Those of an earlier version.
    before = fresh.model_copy(update={"anchors": tuple(((9.0, 7.0),) for _ in fresh.anchors)})
    noted = noted_plan(job.out)
    noted.parent.mkdir()
    noted.write_text(json.dumps({"architecture": before.model_dump(mode="json")}))
    assert new_architecture(job, Architecture) == fresh
    resumed = replace(job, resume=True)
    assert new_architecture(resumed, Architecture) == before
    # Another network, or nothing that can be read: that is said later.
    other = FasterRcnnTrainingOptions(anchors_per_level=1, backbone="vgg16")
    assert new_architecture(replace(resumed, options=other), Architecture).backbone == "vgg16"
    for text in ("{", "[]", "{}", '{"architecture": 3}'):
        noted.write_text(text)
        assert new_architecture(resumed, Architecture) == fresh


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


@pytest.mark.parametrize("per_mpx", [10, 1200, 99_999])
@pytest.mark.parametrize(
    "shape", [(32, 32), (1024, 1024), (1000, 1000), (1408, 1312), (8192, 8192)]
)
def test_a_frame_has_as_many_proposals_as_it_should(shape, per_mpx):
    pytest.importorskip("torchvision")
    from defectscope.detectors.faster_rcnn.proposals import proposals_in

    assert proposals_in(shape, per_mpx) == 128 + shape[0] * shape[1] * per_mpx // 1_000_000


def test_openvino_counts_proposals_of_large_frames():
    torch, openvino = pytest.importorskip("torch"), pytest.importorskip("openvino")
    for package in ("torchvision", "onnx"):
        pytest.importorskip(package)
    from defectscope.detectors.faster_rcnn.proposals import proposals_in
    from defectscope.detectors.learning.export import onnx_bytes

    class Counting(torch.nn.Module):
        def forward(self, pixels):
            return pixels[0, 0, 0, : proposals_in((pixels.shape[2], pixels.shape[3]), 1200)]

    axes = {"pixels": {2: "height", 3: "width"}, "kept": {0: "k"}}
    twin = onnx_bytes(Counting(), torch.zeros(1, 1, 64, 64), ("kept",), axes)
    core = openvino.Core()
    model = core.compile_model(core.read_model(io.BytesIO(twin)), "CPU")
    # Of 32 bits, which OpenVINO takes for whole numbers, this area times 1200 is too much.
    wide = np.zeros((1, 1, 256, 32_768), np.float32)
    assert model(wide)[0].shape == (128 + wide.size * 1200 // 1_000_000,)


@pytest.mark.parametrize("options", [{"momentum": 0.8}, {"decay_every": 100}])
def test_options_of_sgd_are_refused_beside_adamw(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} is of sgd alone"):
        validate_options(FasterRcnnTrainingOptions, options, "faster-rcnn")
    assert validate_options(FasterRcnnTrainingOptions, options | {"optimiser": "sgd"}, "x")
