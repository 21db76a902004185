"""``heatmap`` with a small network of random weights: everything but what it has learned."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from defectscope import Frame, WeightFiles, WeightsCard
from defectscope.core.errors import FormatError, MissingPackageError, UnknownNameError
from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.core.weights import read_tensors
from defectscope.detectors.heatmap.detector import Heatmap, HeatmapOptions
from defectscope.detectors.learning.suppression import Found
from defectscope.plugins.testing import DetectorConformance


@pytest.fixture
def make(tiny_weights):
    """Return a function that builds the detector with options."""
    return lambda **options: Heatmap(HeatmapOptions(weights=str(tiny_weights), **options))


class TestConformance(DetectorConformance):
    component = Heatmap

    @pytest.fixture(autouse=True)
    def _small(self, tiny_weights):
        self.options = {"weights": str(tiny_weights)}


def frame(height=96, width=128, seed=0, dtype=np.uint8):
    """Return smooth noise: something everywhere."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((-(-height // 8), -(-width // 8)))
    image = np.kron(coarse, np.ones((8, 8)))[:height, :width] + 0.1 * rng.random((height, width))
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    return Frame((image / 1.1 * top).astype(dtype), seed)


def same(one, other, tolerance_px=0.02):
    assert len(one) == len(other)
    if not len(one):
        return
    pairs = box_iou_matrix(one.boxes, other.boxes).argmax(axis=1)
    assert sorted(pairs) == list(range(len(other)))
    np.testing.assert_allclose(one.boxes, other.boxes[pairs], atol=tolerance_px)
    np.testing.assert_allclose(one.scores, other.scores[pairs], atol=1e-3)
    assert one.defect_types.tolist() == other.defect_types[pairs].tolist()


def test_it_reports_what_the_card_says(make):
    detector = make()
    assert detector.defect_types == ("black dot", "dislocation-loop")
    (found,) = detector.detect([frame()])
    assert set(found.defect_types) == set(detector.defect_types)
    assert len(found) > 10
    assert found.image_shape == (96, 128)
    assert (np.diff(found.scores) <= 0).all()


def test_the_threshold_is_that_of_the_card_unless_one_is_given(make):
    (usual,), (fewer,) = make().detect([frame()]), make(score=0.8).detect([frame()])
    assert 0.6 <= usual.scores.min() < 0.7
    assert fewer.scores.min() >= 0.8
    expected = usual.scores[usual.scores >= 0.8]
    np.testing.assert_allclose(np.sort(fewer.scores), np.sort(expected), atol=1e-6)


def test_boxes_lie_inside_and_are_no_slivers(make):
    (found,) = make(score=0.2, overlap=0.9).detect([frame(50, 61)])
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [61, 50, 61, 50]).all()
    assert (found.boxes[:, 2:] - found.boxes[:, :2] >= 1).all()


def test_a_frame_of_almost_one_grey_level_is_no_error(make):
    pixels = np.full((96, 128), 100, np.uint8)
    pixels[np.random.default_rng(0).random(pixels.shape) < 0.01] += 1
    (found,) = make().detect([Frame(pixels, 0)])
    assert found.image_shape == (96, 128)


def test_a_large_frame_in_tiles_gives_what_it_gives_in_one_piece(make):
    # What a cell of this network sees is less than half of the overlap.
    large = frame(150, 500)
    (whole,) = make().detect([large])
    (tiled,) = make(tile_px=256, tile_overlap_px=128).detect([large])
    assert len(whole) > 50
    same(tiled, whole)


def test_there_are_no_two_of_one_at_a_seam(make):
    # Here the overlap is far too small, and tiles do not agree.
    (tiled,) = make(tile_px=128, tile_overlap_px=32, score=0.3).detect([frame(300, 300)])
    overlaps = box_iou_matrix(tiled.boxes, tiled.boxes) - np.eye(len(tiled))
    assert overlaps.max() <= 0.35 + 1e-5


def test_finds_are_cut_at_the_rim_and_not_counted_where_their_centre_lies_in_the_padding(
    make, monkeypatch
):
    detector = make()
    boxes = np.array([[100, 200, 120, 220], [228, 100, 248, 120], [230, 10, 250, 26]], np.float32)
    seen = Found(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.intp))
    monkeypatch.setattr(detector, "decode", lambda outputs: seen)
    (found,) = detector.detect([frame(239, 239)])
    assert found.boxes.tolist() == [[100, 200, 120, 220], [228, 100, 239, 120]]


def test_frames_of_several_sizes_and_depths_keep_their_order(make):
    frames = [frame(96, 128, 1), frame(64, 96, 2), frame(96, 128, 3, np.uint16),
              frame(64, 96, 4, np.float32)]  # fmt: skip
    detector = make()
    together = detector.detect(frames)
    for one, given in zip(together, frames, strict=True):
        assert one.image_shape == given.shape
        same(one, detector.detect([given])[0], 1e-3)
    assert detector.detect([]) == []


def test_bit_depth_is_no_matter(make):
    eight = frame()
    sixteen = Frame(eight.pixels.astype(np.uint16) * 257, 0)
    same(make().detect([eight])[0], make().detect([sixteen])[0])


@pytest.mark.parametrize("scale", [0.5, 2.0, 1.3])
def test_boxes_of_an_enlarged_frame_are_in_px_of_the_frame(make, scale):
    import cv2

    small = frame(90, 122)
    detector = make(scale=scale)
    (found,) = detector.detect([small])
    size = round(122 * scale), round(90 * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    enlarged = Frame(cv2.resize(small.pixels.astype(np.float32), size, interpolation=how), 0)
    (expected,) = make().detect([enlarged])
    boxes = expected.boxes / np.tile(np.array(size) / (122, 90), 2)
    assert len(found) > 5
    nearest = box_iou_matrix(found.boxes, boxes).max(axis=1)
    assert np.median(nearest) > 0.9


def test_what_the_card_enlarges_by_comes_beside_the_option(make, tiny_weights, tmp_path):
    files = WeightFiles.open(tiny_weights, "heatmap")
    card = files.card.model_dump() | {"architecture": files.card.architecture | {"enlarge": 1.3}}
    saved = WeightFiles.save(tmp_path / "more.safetensors", WeightsCard(**card),
                             read_tensors(tiny_weights), files.onnx.read_bytes())  # fmt: skip
    detector = Heatmap(HeatmapOptions(weights=str(saved.tensors), scale=0.5))
    (found,), (expected,) = detector.detect([frame()]), make(scale=0.65).detect([frame()])
    assert len(found)
    same(found, expected)


@pytest.mark.parametrize("size", [(8, 8), (8, 200), (33, 31)])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_frames_of_any_size(make, size, scale):
    (found,) = make(scale=scale, score=0.1).detect([frame(*size)])
    assert found.image_shape == size


def test_a_picture_of_almost_nothing_is_no_error(make):
    pixels = np.full((64, 64), 7, np.uint8)
    pixels[30, 30] = 8
    make().detect([Frame(pixels, 0)])


def test_it_can_be_sent_to_workers_and_opened_again(make):
    detector = make()
    expected = detector.detect([frame()])
    detector.close()
    with pickle.loads(pickle.dumps(detector)) as copy:
        same(copy.detect([frame()])[0], expected[0])


def test_weights_that_are_missing_are_asked_for_by_name():
    with pytest.raises(UnknownNameError, match=r"no weights 'lops'; give the path"):
        Heatmap(HeatmapOptions(weights="lops")).open()


def test_weights_of_another_detector(tiny_weights, tmp_path):
    files = WeightFiles.open(tiny_weights)
    other = files.card.model_copy(update={"detector": "yolo"})
    WeightFiles.save(tmp_path / "other.safetensors", other, {}, b"x")
    with pytest.raises(FormatError, match="weights of the detector 'yolo', not of 'heatmap'"):
        Heatmap(HeatmapOptions(weights=str(tmp_path / "other.safetensors"))).open()


@pytest.mark.parametrize("package", ["torch", "lightning", "onnx"])
def test_training_asks_for_its_packages_before_it_begins(monkeypatch, package):
    monkeypatch.setattr(
        "defectscope.detectors.learning.packages.find_spec", lambda name: name != package or None
    )
    with pytest.raises(MissingPackageError, match=rf"needs the package {package}.*\[torch\]"):
        Heatmap().train(None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 0}, "greater than 0"),
        ({"score": 1}, "less than 1"),
        ({"engine": "keras"}, "'onnx', 'openvino', 'openvino-16bit' or 'torch'"),
        ({"tile_px": 200}, "multiple of 32"),
        ({"tile_px": 256, "tile_overlap_px": 160}, "at most half of tile_px"),
        ({"scale": 0}, "greater than or equal to 0.1"),
        ({"weigths": "x"}, "not permitted"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HeatmapOptions(**options)
