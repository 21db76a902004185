"""``yolov3`` with a narrow network of random weights: everything but what it has learned."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from defectscope import Frame, Runtime, WeightFiles
from defectscope.core.errors import DefectscopeError, FormatError, MissingPackageError
from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.detectors.yolov3.architecture import Architecture, grey_levels
from defectscope.detectors.yolov3.detector import YoloOptions, YoloV3
from defectscope.plugins.testing import DetectorConformance
from defectscope.weights.plugin import yolov3_tiny_loops

# What the tests do not need, must not need: a Python in which these cannot be imported.
WITHOUT = (
    "import sys\nfor name in ('torch', 'ultralytics', 'lightning'): sys.modules[name] = None\n"
)


@pytest.fixture
def make(yolo_weights):
    """Return a function that builds the detector with options."""
    return lambda **options: YoloV3(YoloOptions(weights=str(yolo_weights), **options))


class TestConformance(DetectorConformance):
    component = YoloV3

    @pytest.fixture(autouse=True)
    def _narrow(self, yolo_weights):
        self.options = {"weights": str(yolo_weights)}


def frame(height=160, width=224, seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.random((-(-height // 8), -(-width // 8))), np.ones((8, 8)))
    image = coarse[:height, :width] + 0.1 * rng.random((height, width))
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    return Frame((image / 1.1 * top).astype(dtype), seed)


def test_it_reports_what_the_card_says(make):
    detector = make()
    (found,) = detector.detect([frame()])
    assert detector.defect_types == ("black dot", "dislocation-loop")
    assert set(found.defect_types) == set(detector.defect_types)
    assert len(found) > 10
    assert found.scores.min() >= 0.6
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_engines_agree(make, engine):
    pytest.importorskip(engine)
    batch = np.random.default_rng(1).normal(size=(2, 1, 96, 128)).astype(np.float32)
    expected, found = make().engine(batch), make(engine=engine).engine(batch)
    assert len(expected) == 2
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)


def test_overlap_is_that_of_the_paper_and_an_option(make):
    assert YoloOptions().overlap == 0.45
    (found,) = make(score=0.05).detect([frame(512, 512)])
    inside = (found.boxes > 0).all(axis=1) & (found.boxes < 512).all(axis=1)
    overlaps = box_iou_matrix(found.boxes[inside], found.boxes[inside]) - np.eye(inside.sum())
    assert 0.2 < overlaps.max() <= 0.45 + 1e-5
    (more,) = make(score=0.05, overlap=1.0).detect([frame(512, 512)])
    assert len(more) > len(found)


def test_more_than_300_detections_in_a_frame(make):
    (found,) = make(score=0.01, overlap=0.9).detect([frame(640, 640)])
    assert len(found) > 300


def test_nothing_found(make):
    (found,) = make(score=0.99999999).detect([frame()])
    assert len(found) == 0


def test_a_large_frame_in_tiles_gives_about_what_it_gives_in_one_piece(make):
    large = frame(160, 700)
    (whole,), (tiled,) = (
        make(**more).detect([large]) for more in ({}, {"tile_px": 512, "tile_overlap_px": 256})
    )
    assert len(whole) > 20
    best = box_iou_matrix(whole.boxes, tiled.boxes).max(axis=1)
    assert np.mean(best > 0.95) > 0.9


class TestDepth:
    @pytest.mark.parametrize("levels", ["spread", "unit"])
    def test_twelve_bits_reach_the_network(self, levels):
        # Two grey levels of one high byte, which ultralytics could not tell apart.
        pixels = np.random.default_rng(0).integers(0, 4096, (96, 96)).astype(np.uint16)
        pixels[40, 40], pixels[40, 41] = 1024, 1025
        assert pixels[40, 40] >> 8 == pixels[40, 41] >> 8
        one, other = Architecture(levels=levels).given(pixels)[40, 40:42]
        assert other > one

    def test_a_deep_copy_of_an_8_bit_frame_is_found_alike(self, make):
        eight = frame()
        deep = Frame(eight.pixels.astype(np.uint16) * 16, 0)
        (one,), (other,) = make().detect([eight]), make().detect([deep])
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.02)

    def test_unit_levels_are_those_of_ultralytics_for_8_bits(self):
        pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        np.testing.assert_array_equal(grey_levels(pixels, "unit"), pixels / np.float32(255))
        wild = np.array([[np.nan, 1.0], [3.0, np.inf]], np.float32)
        np.testing.assert_array_equal(grey_levels(wild, "unit"), [[0.5, 0], [1, 1]])


class TestEnlarge:
    def test_the_weights_own_enlargement_and_the_option_multiply(self, yolo_weights, tmp_path):
        files = WeightFiles.open(yolo_weights)
        values = {**files.card.architecture, "enlarge": 1.5}
        for suffix in (".safetensors", ".onnx"):
            (tmp_path / f"e{suffix}").write_bytes(files.checked(suffix).read_bytes())
        card = files.card.model_copy(update={"architecture": values})
        (tmp_path / "e.json").write_text(card.model_dump_json())
        detector = YoloV3(YoloOptions(weights=str(tmp_path / "e.safetensors"), scale=2))
        assert detector.network_input(frame(160, 224)).shape == (480, 672)
        (found,) = detector.detect([frame(160, 224)])
        assert found.boxes.max() <= 224
        assert np.median(found.boxes[:, 2] - found.boxes[:, 0]) < 40


class TestBadInput:
    def test_no_weights(self):
        with pytest.raises(DefectscopeError, match="weights"):
            YoloV3(YoloOptions(weights="")).open()

    def test_a_card_of_another_variant(self, yolo_weights, tmp_path):
        files = WeightFiles.open(yolo_weights)
        for suffix in (".safetensors", ".onnx"):
            (tmp_path / f"v{suffix}").write_bytes(files.checked(suffix).read_bytes())

        def named(variant):
            values = {**files.card.architecture, "variant": variant}
            card = files.card.model_copy(update={"architecture": values})
            (tmp_path / "v.json").write_text(card.model_dump_json())
            return YoloOptions(weights=str(tmp_path / "v.safetensors"))

        with pytest.raises(FormatError, match=r"no network of yolov3: variant: .*'yolov3-tiny'"):
            YoloV3(named("yolov8n")).open()
        with pytest.raises(FormatError, match=r"has 2 levels of outputs, .* says yolov3, which"):
            YoloV3(named("yolov3")).detect([frame()])

    @pytest.mark.parametrize("package", ["torch", "ultralytics"])
    def test_packages_that_are_missing_are_named_in_one_line(
        self, monkeypatch, yolo_weights, package
    ):
        monkeypatch.setattr(
            "defectscope.detectors.yolov3.offline.find_spec", lambda name: name != package or None
        )
        what = rf'package {package}, .*pip install "defectscope\[yolo,torch\]"$'
        with pytest.raises(MissingPackageError, match=what):
            YoloV3().train(None)
        detector = YoloV3(YoloOptions(weights=str(yolo_weights)))
        with pytest.raises(MissingPackageError, match=what):
            detector.load_network()


def test_it_detects_without_torch_and_ultralytics(yolo_weights, tmp_path):
    program = WITHOUT + (
        "import numpy as np\nfrom defectscope import Frame\n"
        "from defectscope.detectors.yolov3.detector import YoloOptions, YoloV3\n"
        f"detector = YoloV3(YoloOptions(weights={str(yolo_weights)!r}, score=0.2))\n"
        "pixels = np.random.default_rng(0).integers(0, 4096, (96, 96)).astype(np.uint16)\n"
        "print(len(detector.detect([Frame(pixels, 0)])[0]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_info_names_the_head_and_the_licence():
    program = WITHOUT + (
        "from defectscope.cli.main import main\n"
        "sys.argv = ['defectscope', 'plugins', 'info', 'yolov3', '--json']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=False, timeout=120)  # fmt: skip
    facts = json.loads(done.stdout)
    assert "anchor-free head" in facts["description"]
    assert "weights (AGPL-3.0)" in facts["summary"]
    assert facts["trainable"]
    assert {"overlap", "scale", "score"} <= {row["name"] for row in facts["options"]}


def test_runtime_is_passed_on(yolo_weights):
    detector = YoloV3(YoloOptions(weights=str(yolo_weights)), Runtime(threads=2))
    assert detector.runtime.threads == 2


def test_the_shipped_weights_find_loops_in_a_frame_with_loops():
    blobs = np.full((192, 256), 180, np.uint8)
    blobs += np.random.default_rng(0).integers(0, 12, blobs.shape, np.uint8)
    for x, y in ((50, 60), (120, 100), (200, 140)):
        cv2.circle(blobs, (x, y), 10, 70, -1, cv2.LINE_AA)
    detector = YoloV3(YoloOptions(weights=str(yolov3_tiny_loops())))
    (found,) = detector.detect([Frame(cv2.GaussianBlur(blobs, (0, 0), 2))])
    assert set(found.defect_types) == {"dislocation-loop"}
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert np.hypot(*(middles - [50.5, 60.5]).T).min() < 6
