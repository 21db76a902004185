"""``line-tracer`` with a small network of random weights, and with one that is right."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from defectscope import Frame
from defectscope.core.errors import FormatError, OptionError, UnknownNameError
from defectscope.core.line_metrics import score_lines
from defectscope.core.options import validate_options
from defectscope.detectors.learning.detector import scaled_shape
from defectscope.detectors.line_tracer.detector import LineTracer, LineTracerOptions
from defectscope.detectors.line_tracer.targets import line_targets
from defectscope.pipeline.found_checks import check_found
from defectscope.plugins.testing import DetectorConformance

NAMED = SimpleNamespace(describe=lambda: "line-tracer")


@pytest.fixture
def make(line_weights):
    """Return a function that builds the detector with options."""
    return lambda **options: LineTracer(LineTracerOptions(weights=str(line_weights), **options))


class TestConformance(DetectorConformance):
    component = LineTracer

    @pytest.fixture(autouse=True)
    def _small(self, line_weights):
        self.options = {"weights": str(line_weights)}


class Oracle:
    """An engine that knows every line; inputs hold x and y of each pixel, to tell where it is."""

    def __init__(self, lines):
        self.lines = lines

    def __call__(self, batch):
        x, y = (round(float(v)) for v in divmod(float(batch[0, 0, 0, 0]), 1e4))
        shape = batch.shape[2:]
        moved = [line - [x, y] for line in self.lines]
        targets = line_targets(moved, shape, 16)
        presence = np.clip(targets.presence, 1e-3, 1 - 1e-3)
        logits = np.log(presence / (1 - presence)).astype(np.float32)
        return logits[None], targets.offsets[None], targets.ends[None]


@pytest.fixture
def oracle(make, monkeypatch):
    """Return a function that detects known lines in a frame of a size."""

    def detect(lines, height, width, **options):
        detector = make(**options)
        detector._engine = Oracle(lines)
        rows, columns = np.indices(scaled_shape((height, width), options.get("scale", 1)), float)
        monkeypatch.setattr(
            "defectscope.detectors.line_tracer.detector.scaled_input",
            lambda frame, scale: 1e4 * columns + rows,
        )
        monkeypatch.setattr(
            "defectscope.detectors.line_tracer.detector.padded",
            lambda images, multiple, how: np.pad(
                images[0], [(0, -side % multiple) for side in images[0].shape]
            )[None, None],
        )
        return detector.detect([noise(height, width)])[0]

    return detect


def noise(height=96, width=128, seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    image = np.kron(rng.random((-(-height // 8), -(-width // 8))), np.ones((8, 8)))
    image = image[:height, :width] + 0.1 * rng.random((height, width))
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    return Frame((image / 1.1 * top).astype(dtype), seed)


def wave(x0, x1, y, height=30.0):
    x = np.linspace(x0, x1, 900)
    return np.stack([x, y + height * np.sin(x / 60)], axis=1)


def test_a_line_that_crosses_tiles_comes_out_as_one(oracle):
    lines = [wave(20, 980, 100), wave(20, 980, 160), np.linspace([500.0, 5.0], [530.0, 290.0], 300)]
    found = oracle(lines, 300, 1000, tile_px=256, halo_px=64)
    assert len(found) == 3
    scores = score_lines(found.lines, lines)
    assert scores.score > 0.98
    assert (scores.splits, scores.merges) == (0, 0)


def test_tiles_are_no_matter(oracle):
    lines = [wave(10, 600, 80), wave(30, 610, 200, 10.0)]
    whole = oracle(lines, 280, 620, tile_px=1024)
    tiled = oracle(lines, 280, 620, tile_px=256)
    assert len(whole) == len(tiled) == 2
    for one, other in zip(whole.lines, tiled.lines, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_finds_more_lines_than_any_fixed_number(oracle):
    lines = [np.linspace([10.0, y], [400.0, y + 15], 300) for y in np.arange(10, 390, 6.0)]
    found = oracle(lines, 410, 410)
    assert len(found) == len(lines) == 64
    assert score_lines(found.lines, lines).score > 0.97


def test_instances_are_complete(make):
    (found,) = make(score=0.01, shortest_px=4).detect([noise()])
    assert len(found) > 3
    assert set(found.defect_types) == {"dislocation"}
    assert len(found.lines) == len(found)
    lengths = [np.hypot(*np.diff(line, axis=0).T).sum() for line in found.lines]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("size", [(8, 8), (8, 200), (33, 31), (130, 129)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_frames_of_any_size(make, size, scale):
    (found,) = make(scale=scale, score=0.01).detect([noise(*size)])
    assert found.image_shape == size
    check_found(NAMED, [found], [noise(*size)])


@pytest.mark.parametrize(("size", "scale"), [((163, 161), 0.5), ((161, 163), 0.3), ((99, 77), 1.7)])
def test_lines_to_the_rim_end_there_at_any_scale(oracle, size, scale):
    true = np.linspace([20.0, 0.0], [24.0, scaled_shape(size, scale)[0]], 200)
    found = oracle([true], *size, scale=scale)
    check_found(NAMED, [found], [noise(*size)])
    (line,) = found.lines
    assert sorted(line[[0, -1], 1]) == pytest.approx([0, size[0]], abs=1)


def test_bit_depth_is_no_matter(make):
    eight = noise()
    sixteen = Frame(eight.pixels.astype(np.uint16) * 257, 0)
    one, other = (make(score=0.01).detect([frame])[0] for frame in (eight, sixteen))
    assert len(one) == len(other)
    for a, b in zip(one.lines, other.lines, strict=True):
        np.testing.assert_allclose(a, b, atol=0.02)


def test_no_lines_give_no_lines(oracle):
    assert len(oracle([], 100, 100)) == 0


def test_a_picture_of_almost_nothing_is_no_error(make):
    pixels = np.full((64, 64), 7, np.uint8)
    pixels[30, 30] = 8
    (found,) = make().detect([Frame(pixels, 0)])
    assert found.image_shape == (64, 64)


def test_the_threshold_is_that_of_the_card_unless_one_is_given(make):
    usual, fewer = make(), make(score=0.7)
    assert (usual.least_score, fewer.least_score) == (0.4, 0.7)
    assert all(s >= 0.7 for s in fewer.detect([noise()])[0].scores)


def test_it_can_be_sent_to_workers(make):
    detector = make(score=0.01)
    expected = detector.detect([noise()])[0]
    detector.close()
    with pickle.loads(pickle.dumps(detector)) as copy:
        found = copy.detect([noise()])[0]
    np.testing.assert_allclose(found.boxes, expected.boxes)


def test_engines_agree(make):
    torch_found, onnx_found = (
        make(score=0.01, engine=engine).detect([noise()])[0] for engine in ("torch", "onnx")
    )
    assert score_lines(torch_found.lines, onnx_found.lines).score > 0.99


def test_wrong_requests_are_told_clearly(make, tiny_weights):
    with pytest.raises(UnknownNameError, match="no weights 'lins'"):
        LineTracer(LineTracerOptions(weights="lins")).open()
    with pytest.raises(FormatError, match=r"of the detector 'heatmap'"):
        LineTracer(LineTracerOptions(weights=str(tiny_weights))).open()
    with pytest.raises(OptionError, match="halo_px must be at most half"):
        validate_options(LineTracerOptions, {"tile_px": 256, "halo_px": 200}, "line-tracer")
