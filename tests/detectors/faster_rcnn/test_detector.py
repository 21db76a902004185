"""``faster-rcnn`` with small networks of random weights: everything but what it has learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defectscope import Frame, Instances, TrainingData, TrainingJob, WeightFiles, WeightsCard
from defectscope.core.errors import FormatError, InputError, MissingPackageError, OptionError
from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.detectors.faster_rcnn.architecture import Architecture
from defectscope.detectors.faster_rcnn.detector import FasterRcnn, FasterRcnnOptions
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.plugins.testing import DetectorConformance

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnx")

LEVEL = ((10.0, 14.0), (14.0, 10.0))


def saved(folder: Path, types=("black dot", "dislocation-loop"), **given) -> Path:
    """Return a safetensors file with twin and card of a network of random weights."""
    from defectscope.detectors.faster_rcnn.network import FasterRcnnNetwork
    from defectscope.detectors.faster_rcnn.training import FACTS
    from defectscope.detectors.learning.export import onnx_bytes

    architecture = Architecture(
        **{"anchors": (LEVEL,) * 3, "fpn_channels": 16, "head_channels": 16} | given,
        classes=len(types),
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        network = FasterRcnnNetwork(architecture).eval()
        # Answers as different from each other as those of a trained network.
        network.rpn.head.cls_logits.weight.normal_(std=0.5)
        network.roi_heads.box_predictor.cls_score.weight.normal_(std=1.0)
        example = torch.randn(1, architecture.channels_in, 64, 64)
        twin = onnx_bytes(network, example, FACTS.outputs, FACTS.axes)
    card = WeightsCard(
        detector="faster-rcnn", defect_types=types, threshold=0.3,
        architecture=architecture.model_dump(mode="json"), data="nothing",
    )  # fmt: skip
    tensors = {k: v.contiguous().numpy() for k, v in network.state_dict().items()}
    return WeightFiles.save(folder / "tiny.safetensors", card, tensors, twin).tensors


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("faster-rcnn"))


class TestConformance(DetectorConformance):
    component = FasterRcnn

    @pytest.fixture(autouse=True)
    def _small(self, weights):
        self.options = {"weights": str(weights)}


def frame(height=96, width=128, dtype=np.uint8):
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((-(-height // 8), -(-width // 8))), np.ones((8, 8)))
    image = (coarse[:height, :width] + 0.1 * rng.random((height, width))) / 1.1
    return Frame((image * np.iinfo(dtype).max).astype(dtype), 0)


def found_in(weights, given=None, **options):
    detector = FasterRcnn(FasterRcnnOptions(weights=str(weights), **options))
    return detector.detect([given or frame()])[0]


def same(one, other):
    assert len(one) == len(other) > 5
    pairs = box_iou_matrix(one.boxes, other.boxes).argmax(axis=1)
    np.testing.assert_allclose(one.boxes, other.boxes[pairs], atol=1e-3)
    np.testing.assert_allclose(one.scores, other.scores[pairs], atol=1e-4)
    assert one.defect_types.tolist() == other.defect_types[pairs].tolist()


@pytest.mark.parametrize("inputs", ["grey", "grey-clahe-blur"])
def test_onnx_finds_what_torch_finds(tmp_path, inputs):
    file = saved(tmp_path, inputs=inputs)
    for size in ((96, 128), (50, 61)):
        one, other = (
            found_in(file, frame(*size), score=0.02, engine=engine) for engine in ("onnx", "torch")
        )
        same(one, other)


def test_bit_depth_is_no_matter(weights):
    eight = frame()
    same(
        found_in(weights, eight), found_in(weights, Frame(eight.pixels.astype(np.uint16) * 257, 0))
    )


def test_boxes_lie_inside_best_first_also_in_tiles(weights):
    for given in ({}, {"tile_px": 128, "tile_overlap_px": 32}, {"scale": 2.0}):
        found = found_in(weights, frame(150, 333), **given)
        assert len(found) > 10
        assert (np.diff(found.scores) <= 0).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [333, 150, 333, 150]).all()


def test_nothing_found_is_no_error(weights):
    found = found_in(weights, score=0.9999999)
    assert len(found) == 0
    assert found.image_shape == (96, 128)


def test_more_than_a_hundred_are_found(weights):
    assert len(found_in(weights, frame(512, 512), score=0.01, overlap=0.9)) > 300


def test_without_weights_it_says_what_to_do():
    with pytest.raises(OptionError, match="train some with 'defectscope train faster-rcnn'"):
        FasterRcnn().open()


@pytest.mark.parametrize("package", ["torch", "torchvision", "lightning"])
def test_training_asks_for_its_packages_before_it_begins(monkeypatch, package):
    monkeypatch.setattr(
        "defectscope.detectors.learning.packages.find_spec", lambda name: name != package or None
    )
    with pytest.raises(MissingPackageError, match=rf"needs the package {package}.*\[torch\]"):
        FasterRcnn().train(None)


class Squares(TrainingData):
    """Dark squares of two types; every other one of the second is ignored."""

    title, defect_types, length = "squares", ("black dot", "dislocation-loop"), 4

    def __init__(self, count=6, kinds=2):
        self.count, self.kinds = count, kinds

    def load(self, number):
        rng = np.random.default_rng(number)
        pixels = rng.normal(150, 5, (96, 96))
        corners = rng.integers(0, 80, (self.count, 2))
        boxes = np.concatenate([corners, corners + 12], axis=1).astype(np.float32)
        for x, y in corners:
            pixels[y : y + 12, x : x + 12] -= 60
        kinds = np.arange(self.count) % self.kinds
        truth = Instances(
            (96, 96), boxes, defect_types=np.array(self.defect_types)[kinds],
            ignore=np.arange(self.count) % 4 == 3,
        )  # fmt: skip
        return np.clip(pixels, 0, 255).astype(np.uint8), truth


SMALL = {
    "crop_px": 64, "crops_per_frame": 1, "frames_per_step": 2, "fpn_channels": 16,
    "head_channels": 16, "validate_every": 2, "validation_frames": 2, "anchors_per_level": 2,
}  # fmt: skip


def job(tmp_path, data, init=None, **options):
    given = FasterRcnnTrainingOptions(**SMALL | options)
    return TrainingJob(
        data, tmp_path / "new.safetensors", given, init=init, steps=2, workers=0,
        say=lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize(("count", "kinds", "optimiser"), [(6, 2, "adamw"), (300, 1, "sgd")])
def test_a_training_leaves_weights_that_both_engines_read(tmp_path, count, kinds, optimiser):
    files = FasterRcnn().train(job(tmp_path, Squares(count, kinds), optimiser=optimiser))
    assert len(files.card.architecture["anchors"]) == 3
    for engine in ("onnx", "torch"):
        assert found_in(files.tensors, score=0.01, engine=engine).image_shape == (96, 128)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"backbone": "vgg16"}, OptionError, "backbone = vgg16 does not fit"),
        ({"head_channels": 32}, OptionError, "head_channels = 32 does not fit"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, weights, given, error, message):
    with pytest.raises(error, match=message):
        FasterRcnn().train(job(tmp_path, Squares(), init=weights, **given))


def test_weights_of_another_number_of_types_are_refused(tmp_path):
    file = saved(tmp_path, types=("dislocation-loop",))
    with pytest.raises(FormatError, match=r"knows 1 defect types .*the data has 2"):
        FasterRcnn().train(job(tmp_path, Squares(), init=file))


def test_nothing_to_freeze_and_nothing_to_learn(tmp_path):
    with pytest.raises(OptionError, match="keeps weights that are there already"):
        FasterRcnn().train(job(tmp_path, Squares(), freeze="backbone"))
    with pytest.raises(InputError, match="no labelled defect"):
        FasterRcnn().train(job(tmp_path, Squares(0)))
