"""``faster-rcnn`` with small networks of random weights: everything but what it has learned."""

from __future__ import annotations

import signal
import tomllib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from defectscope import Frame, TrainingJob, WeightFiles, WeightsCard
from defectscope.core.errors import FormatError, InputError, MissingPackageError, OptionError
from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.core.weights import read_tensors
from defectscope.detectors.faster_rcnn.architecture import Architecture, strides_px_of
from defectscope.detectors.faster_rcnn.detector import FasterRcnn, FasterRcnnOptions
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.plugins.testing import DetectorConformance
from defectscope.weights.plugin import faster_rcnn_loops

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnx")

LEVEL = ((10.0, 14.0), (14.0, 10.0))


def saved(folder: Path, types=("black dot", "dislocation-loop"), **given) -> Path:
    """Return a safetensors file with twin and card of a network of random weights."""
    from defectscope.detectors.faster_rcnn.network import FasterRcnnNetwork
    from defectscope.detectors.faster_rcnn.training import FACTS
    from defectscope.detectors.learning.export import onnx_bytes

    levels = len(strides_px_of(given.get("backbone", "mobilenet-v3-fpn")))
    architecture = Architecture(
        **{"anchors": (LEVEL,) * levels, "fpn_channels": 16, "head_channels": 16} | given,
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
        FasterRcnn(FasterRcnnOptions(weights="")).open()


def test_the_shipped_weights_find_loops_in_a_frame_with_loops():
    blobs = np.full((192, 256), 180, np.uint8)
    blobs += np.random.default_rng(0).integers(0, 12, blobs.shape, np.uint8)
    for x, y in ((50, 60), (120, 100), (200, 140)):
        cv2.circle(blobs, (x, y), 10, 70, -1, cv2.LINE_AA)
    detector = FasterRcnn(FasterRcnnOptions(weights=str(faster_rcnn_loops())))
    (found,) = detector.detect([Frame(cv2.GaussianBlur(blobs, (0, 0), 2))])
    assert set(found.defect_types) == {"dislocation-loop"}
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert np.hypot(*(middles - [50.5, 60.5]).T).min() < 6


@pytest.mark.parametrize("package", ["torch", "torchvision", "lightning"])
def test_training_asks_for_its_packages_before_it_begins(monkeypatch, package):
    monkeypatch.setattr(
        "defectscope.detectors.learning.packages.find_spec", lambda name: name != package or None
    )
    with pytest.raises(MissingPackageError, match=rf"needs the package {package}.*\[torch\]"):
        FasterRcnn().train(None)


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
def test_a_training_leaves_weights_that_both_engines_read(
    tmp_path, count, kinds, optimiser, squares
):
    files = FasterRcnn().train(job(tmp_path, squares(count, kinds), optimiser=optimiser))
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
def test_weights_of_another_network_are_refused(tmp_path, weights, given, error, message, squares):
    with pytest.raises(error, match=message):
        FasterRcnn().train(job(tmp_path, squares(), init=weights, **given))


def test_weights_of_another_number_of_types_are_refused(tmp_path, squares):
    file = saved(tmp_path, types=("dislocation-loop",))
    with pytest.raises(FormatError, match=r"knows 1 defect type .*the data has 2"):
        FasterRcnn().train(job(tmp_path, squares(), init=file))


def test_nothing_to_freeze_and_nothing_to_learn(tmp_path, squares):
    with pytest.raises(OptionError, match="keeps weights that are there already"):
        FasterRcnn().train(job(tmp_path, squares(), freeze="backbone"))
    with pytest.raises(InputError, match="no labelled defect"):
        FasterRcnn().train(job(tmp_path, squares(0)))


def test_two_places_to_start_from_are_refused(tmp_path, weights, squares):
    given = job(tmp_path, squares(), init=weights, backbone_weights=tmp_path / "any.safetensors")
    with pytest.raises(OptionError, match="leave out one of them"):
        FasterRcnn().train(given)


def test_another_number_of_anchors_is_refused(tmp_path, weights, squares):
    with pytest.raises(OptionError, match=r"anchors_per_level = 5 does not fit .* has "):
        FasterRcnn().train(job(tmp_path, squares(), init=weights, anchors_per_level=5))


def test_a_card_of_another_network_is_no_traceback(tmp_path, weights, squares):
    files = WeightFiles.open(weights, "faster-rcnn")
    card = files.card.model_copy(update={"architecture": {"backbone": "vgg19"}})
    file = WeightFiles.save(tmp_path / "odd.safetensors", card, read_tensors(weights), None).tensors
    with pytest.raises(FormatError, match="describes no network of faster-rcnn"):
        FasterRcnn().train(job(tmp_path, squares(), init=file))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["vgg16", "resnet50-fpn"])
def test_large_backbones_are_trained_and_exported(tmp_path, backbone, squares):
    given = {"backbone": backbone, "optimiser": "sgd", "learning_rate": 1e-6}
    start = saved(tmp_path, backbone=backbone)
    todo = job(tmp_path, squares(), init=start, frames_per_step=1, validation_frames=1, **given)
    file = FasterRcnn().train(replace(todo, steps=1)).tensors
    before, after = read_tensors(start), read_tensors(file)
    assert any((before[name] != after[name]).any() for name in before if "body" in name)
    same(*(found_in(file, frame(64, 96), score=0.02, engine=e) for e in ("onnx", "torch")))


def features_of(backbone):
    """Return torchvision's features, and their state dict as ImageNet's weights name it."""
    from torchvision import models

    if backbone == "vgg16":
        features = models.vgg.make_layers(models.vgg.cfgs["D"])
        return features[:-1], {f"features.{k}": v for k, v in features.state_dict().items()}
    if backbone == "resnet50-fpn":
        network = models.resnet50(weights=None)
        features = torch.nn.Sequential(*list(network.children())[:-2])
    else:
        network = models.mobilenet_v3_large(weights=None)
        features = network.features[:13]
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            # As small as it matters what is added to it.
            value.uniform_(0.005, 0.02)
    return features, network.state_dict()


@pytest.mark.parametrize("backbone", ["vgg16", "resnet50-fpn", "mobilenet-v3-fpn"])
def test_weights_of_imagenet_give_grey_what_they_give_colours(tmp_path, backbone):
    from safetensors.torch import save_file

    from defectscope.detectors.faster_rcnn.backbone import Backbone
    from defectscope.detectors.learning.networks import load_body

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        features, state = features_of(backbone)
        save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "colour.safetensors")
        levels = len(strides_px_of(backbone))
        body = Backbone(
            Architecture(backbone=backbone, anchors=(LEVEL,) * levels, frozen_norm=True)
        ).body
        load_body(body, tmp_path / "colour.safetensors", "features.")
        pixels = torch.randn(1, 1, 64, 64)
        expected = features.eval()(pixels.expand(-1, 3, -1, -1))
        found = torch.nn.Sequential(*body.values())(pixels)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)
    del state[next(name for name in state if name.endswith("bias"))]
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "part.safetensors")
    with pytest.raises(FormatError, match="has no tensor"):
        load_body(body, tmp_path / "part.safetensors", "features.")


def test_backbone_weights_are_kept_where_frozen(tmp_path, squares):
    from safetensors.torch import save_file

    _, state = features_of("mobilenet-v3-fpn")
    file = tmp_path / "imagenet.safetensors"
    save_file({k: v.contiguous() for k, v in state.items()}, file)
    given = {"backbone_weights": file, "freeze": "backbone"}
    after = read_tensors(FasterRcnn().train(job(tmp_path, squares(), **given)).tensors)
    name = "4.block.0.0.weight"
    np.testing.assert_array_equal(after[f"backbone.body.{name}"], state[f"features.{name}"])


RECIPES = Path(__file__).parents[3] / "defectscope" / "weights" / "recipes"


def test_recipes_are_valid_and_one_is_that_of_p3():
    options = {
        name: FasterRcnnTrainingOptions(
            **tomllib.loads((RECIPES / f"{name}-training.toml").read_text("utf-8"))["faster-rcnn"]
        )
        for name in ("faster-rcnn", "faster-rcnn-vgg16")
    }
    p3 = options["faster-rcnn-vgg16"]
    assert (p3.backbone, p3.inputs, p3.optimiser) == ("vgg16", "grey-clahe-blur", "sgd")
    assert (p3.learning_rate, p3.decay_every, p3.steps) == (1e-4, 20_000, 90_000)
    assert options["faster-rcnn"].backbone == "mobilenet-v3-fpn"


STILL = {"freeze": "all-but-head", "learning_rate": 1e-9, "weight_decay": 0}


@pytest.mark.parametrize(
    "names", [("dislocation-loop", "black dot"), ("one", "other"), ("dislocation-loop", "other")]
)
def test_fine_tuning_with_types_in_another_order_or_other_names(tmp_path, weights, squares, names):
    data, said = squares(), []
    data.defect_types = names
    todo = replace(job(tmp_path, data, init=weights, **STILL), say=said.append)
    files = FasterRcnn().train(todo)
    assert files.card.defect_types == names
    before, after = (found_in(file, score=0.02) for file in (weights, files.tensors))
    known = {"black dot": "black dot", "dislocation-loop": "dislocation-loop"}
    if "one" in names:
        known = {"black dot": "one", "dislocation-loop": "other"}
    elif "other" in names:
        # Who has a name that the weights know keeps it, wherever it stands.
        known["black dot"] = "other"
    for old, new in known.items():
        assert any(f"{old} is learned as {new}" in text for text in said) == (old != new)
    before = replace(before, defect_types=[known[str(t)] for t in before.defect_types])
    same(before, after)


@pytest.mark.parametrize(
    ("freeze", "kept"), [("backbone", "backbone.body."), ("all-but-head", ("backbone.", "rpn."))]
)
def test_what_is_frozen_stays_and_the_rest_learns(tmp_path, weights, squares, freeze, kept):
    files = FasterRcnn().train(job(tmp_path, squares(), init=weights, freeze=freeze))
    before, after = read_tensors(weights), read_tensors(files.tensors)
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert not [name for name in changed if name.startswith(kept)]
    learned = {n for n in before if n.endswith("weight") and not n.startswith(kept)}
    assert learned <= changed


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, weights, squares):
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        folder.mkdir()
    whole, parts = (replace(job(f, squares(), init=weights), steps=3) for f in folders)

    def stop(what, done, total):
        if (what, done) == ("train", 1):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        FasterRcnn().train(replace(parts, progress=stop))
    said = []
    files = FasterRcnn().train(replace(parts, resume=True, say=said.append))
    assert any("from step " in text for text in said), said
    assert files.tensors.read_bytes() == FasterRcnn().train(whole).tensors.read_bytes()
