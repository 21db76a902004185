"""``faster-rcnn-detectron2`` where detectron2 is, and what is said where it is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from pydantic import ValidationError

from defectscope import Frame, TrainingJob, WeightFiles, WeightsCard
from defectscope.core.errors import DefectscopeError, MissingPackageError
from defectscope.core.weights import read_tensors
from defectscope.detectors.faster_rcnn.decoding import decoded
from defectscope.detectors.faster_rcnn_detectron2.architecture import Detectron2Architecture
from defectscope.detectors.faster_rcnn_detectron2.detector import (
    PAGE,
    Detectron2TrainingOptions,
    FasterRcnnDetectron2,
    FasterRcnnDetectron2Options,
    expect_detectron2,
)
from defectscope.plugins.testing import DetectorConformance

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnx")

FINDER = "defectscope.detectors.faster_rcnn_detectron2.detector.find_spec"
LEVEL = ((10.0, 14.0), (14.0, 10.0))
TINY = Detectron2Architecture(
    backbone="resnet18-fpn", anchors=(LEVEL,) * 3, fpn_channels=16, head_channels=16, classes=2
)
TYPES = ("black dot", "dislocation-loop")
there = pytest.mark.skipif(find_spec("detectron2") is None, reason="detectron2 is not installed")


def card(**given):
    return WeightsCard(
        detector="faster-rcnn-detectron2", defect_types=TYPES, threshold=0.3, data="nothing",
        architecture=TINY.model_dump(mode="json"), **given,
    )  # fmt: skip


def detector(weights, **options):
    return FasterRcnnDetectron2(FasterRcnnDetectron2Options(weights=str(weights), **options))


def test_without_detectron2_it_points_to_its_page(tmp_path, monkeypatch):
    file = WeightFiles.save(tmp_path / "any.safetensors", card(), {"a": np.zeros(1, "f4")}, None)
    monkeypatch.setattr(FINDER, lambda _: None)
    expected = rf"needs the package detectron2, which is not installed; .* {PAGE} says how"
    with pytest.raises(MissingPackageError, match=expected):
        detector(file.tensors).open()
    with pytest.raises(MissingPackageError, match=expected):
        FasterRcnnDetectron2().train(None)


def test_one_built_for_another_torch_is_to_be_built_anew(monkeypatch):
    def broken(name):
        raise ImportError("undefined symbol: _ZN2at4_ops5zeros4call\nand more")

    monkeypatch.setattr(FINDER, lambda _: object())
    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(DefectscopeError, match=rf"symbol: \w+\); build it anew for .* {PAGE}"):
        expect_detectron2("the detector")


def test_torch_alone_runs_it():
    with pytest.raises(ValidationError, match="torch"):
        FasterRcnnDetectron2Options(engine="onnx")


def test_it_is_described_without_detectron2_and_without_torch():
    code = (
        "import sys; sys.modules.update(detectron2=None, torch=None, torchvision=None)\n"
        "from defectscope.cli.main import main\n"
        "sys.argv = ['defectscope', 'plugins', 'info', 'faster-rcnn-detectron2']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "resnet101-fpn" in done.stdout
    assert "detectron2.readthedocs.io" in done.stdout


def network_of(architecture=TINY):
    expect_detectron2("a test")
    from defectscope.detectors.faster_rcnn_detectron2.network import Detectron2Network

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        network = Detectron2Network(architecture).eval()
        # Answers as different from each other as those of a trained network.
        network.rpn.rpn_head.objectness_logits.weight.normal_(std=0.5)
        network.roi_heads.box_predictor.cls_score.weight.normal_(std=1.0)
        network.roi_heads.box_predictor.bbox_pred.weight.normal_(std=0.1)
    return network


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    if find_spec("detectron2") is None:
        pytest.skip("detectron2 is not installed")
    tensors = {k: v.contiguous().numpy() for k, v in network_of().state_dict().items()}
    folder = tmp_path_factory.mktemp("faster-rcnn-detectron2")
    return WeightFiles.save(folder / "tiny.safetensors", card(), tensors, None).tensors


@there
class TestConformance(DetectorConformance):
    component = FasterRcnnDetectron2

    @pytest.fixture(autouse=True)
    def _small(self, weights):
        self.options = {"weights": str(weights)}


def frame(height=96, width=128):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width))
    return Frame(pixels.astype(np.uint8), 0)


def job(tmp_path, data, init=None, **options):
    small = {
        "crop_px": 64, "crops_per_frame": 1, "frames_per_step": 2, "fpn_channels": 16,
        "head_channels": 16, "validate_every": 2, "validation_frames": 2, "anchors_per_level": 2,
        "backbone": "resnet18-fpn",
    }  # fmt: skip
    return TrainingJob(
        data, tmp_path / "new.safetensors", Detectron2TrainingOptions(**small | options), init=init,
        steps=2, workers=0, say=lambda _: None,
    )  # fmt: skip


@there
@pytest.mark.parametrize(("count", "kinds", "optimiser"), [(6, 2, "adamw"), (300, 1, "sgd")])
def test_a_training_leaves_weights_that_torch_reads(tmp_path, squares, count, kinds, optimiser):
    todo = job(tmp_path, squares(count, kinds), optimiser=optimiser)
    files = FasterRcnnDetectron2().train(todo)
    assert "detectron2" in files.card.versions
    assert not files.onnx.exists()
    (found,) = detector(files.tensors, score=0.01).detect([frame(50, 61)])
    assert len(found)
    assert (found.boxes <= [61, 50, 61, 50]).all()


@there
def test_fine_tuning_with_types_in_another_order_keeps_what_is_frozen(tmp_path, weights, squares):
    data = squares()
    data.defect_types = TYPES[::-1]
    still = {"freeze": "all-but-head", "learning_rate": 1e-9, "weight_decay": 0}
    files = FasterRcnnDetectron2().train(job(tmp_path, data, init=weights, **still))
    before, after = read_tensors(weights), read_tensors(files.tensors)
    for name in before:
        if name.startswith(("backbone.", "rpn.")):
            np.testing.assert_array_equal(before[name], after[name])
    one, other = (detector(f, score=0.02).detect([frame()])[0] for f in (weights, files.tensors))
    assert len(one) > 5
    np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
    assert one.defect_types.tolist() == other.defect_types.tolist()


@there
def test_decoding_gives_what_detectron2_gives():
    network = network_of()
    with torch.inference_mode():
        boxes, logits, deltas = network(torch.randn(1, 1, 96, 128))
        from detectron2.structures import Boxes, Instances

        given = [Instances((96, 128), proposal_boxes=Boxes(boxes))]
        answers = torch.cat([logits[:, 1:], logits[:, :1]], 1), deltas[:, 4:]
        (expected,) = network.roi_heads.box_predictor.predict_boxes(answers, given)
        (scores,) = network.roi_heads.box_predictor.predict_probs(answers, given)
    found = decoded(boxes.numpy(), logits.numpy(), deltas.numpy(), 0.0)
    np.testing.assert_allclose(found.boxes, expected.reshape(-1, 4), atol=1e-3)
    np.testing.assert_allclose(found.scores, scores[:, :2].reshape(-1), atol=1e-5)


@there
def test_wrong_ones_on_ignored_boxes_are_left_out_of_both_stages():
    from detectron2.structures import Boxes, Instances

    network = network_of()
    boxes = torch.tensor([[0, 0, 10, 10], [30, 30, 40, 40], [60, 60, 70, 70]]).float()
    ignored = [torch.tensor([[28.0, 28.0, 38.0, 38.0]])] * 2
    network.rpn.ignored = network.roi_heads.ignored = ignored
    kind = torch.tensor([1])
    truth = [Instances((96, 96), gt_boxes=Boxes(boxes[:k]), gt_classes=kind[:k]) for k in (1, 0)]
    labels, _ = network.rpn.label_and_sample_anchors([Boxes(boxes)], truth)
    assert [each.tolist() for each in labels] == [[1, -1, 0], [0, -1, 0]]
    proposals = [
        Instances((96, 96), proposal_boxes=Boxes(boxes), objectness_logits=torch.zeros(3))
        for _ in truth
    ]
    from detectron2.utils.events import EventStorage

    with EventStorage():
        chosen = network.roi_heads.label_and_sample_proposals(proposals, truth)
    kinds = [
        sorted(zip(c.proposal_boxes.tensor[:, 0].tolist(), c.gt_classes.tolist(), strict=True))
        for c in chosen
    ]
    # A true box is a proposal besides; the background is the last class.
    assert kinds == [[(0, 1), (0, 1), (60, 2)], [(0, 2), (60, 2)]]


@there
def test_no_numbers_any_more_are_losses_that_are_no_numbers():
    network = network_of().train()
    target = {
        "boxes": torch.tensor([[5.0, 5, 20, 20]]), "labels": torch.tensor([1]),
        "ignored": torch.zeros(0, 4),
    }  # fmt: skip
    losses = network.losses(torch.full((1, 1, 64, 64), torch.nan), [target])
    assert not torch.isfinite(torch.stack(list(losses.values())).sum())


@there
def test_weights_of_imagenet_give_what_torchvision_makes_of_them(tmp_path):
    from safetensors.torch import save_file
    from torchvision import models

    architecture = TINY.model_copy(update={"frozen_norm": True})
    network = network_of(architecture)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        source = models.resnet18(weights=None).eval()
        for name, value in source.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
        state = {k: v.contiguous() for k, v in source.state_dict().items()}
        save_file(state, tmp_path / "colour.safetensors")
        network.load_backbone(tmp_path / "colour.safetensors")
        pixels = torch.randn(1, 1, 64, 64)
        expected = torch.nn.Sequential(*list(source.children())[:-2])(pixels.expand(-1, 3, -1, -1))
        found = network.backbone.bottom_up(pixels)["res5"]
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


@there
def test_the_proposals_of_a_crop_are_as_many_as_asked_for(tmp_path, squares):
    seen = []
    todo = replace(job(tmp_path, squares(), proposals_per_crop=8), steps=1)
    from defectscope.detectors.faster_rcnn_detectron2.heads import BoxHeads

    with pytest.MonkeyPatch.context() as patch:
        sample = BoxHeads._sample_proposals

        def watched(self, *given):
            found = sample(self, *given)
            seen.append(len(found[0]))
            return found

        patch.setattr(BoxHeads, "_sample_proposals", watched)
        FasterRcnnDetectron2().train(todo)
    assert seen
    assert max(seen) <= 8
