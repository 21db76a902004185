"""Validation sees frames as detection does."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope import Frame, Instances, WeightFiles  # noqa: E402
from defectscope.detectors.heatmap.architecture import Architecture  # noqa: E402
from defectscope.detectors.heatmap.detector import Heatmap, HeatmapOptions  # noqa: E402
from defectscope.detectors.heatmap.module import HeatmapModule  # noqa: E402
from defectscope.detectors.heatmap.network import HeatmapNetwork  # noqa: E402
from defectscope.detectors.learning.box_training import BoxModule  # noqa: E402
from defectscope.detectors.learning.calming import calmed  # noqa: E402
from defectscope.detectors.learning.captions import in_captions  # noqa: E402
from defectscope.detectors.learning.networks import with_weights  # noqa: E402
from defectscope.detectors.learning.scoring import THRESHOLDS  # noqa: E402
from defectscope.detectors.learning.suppression import Found  # noqa: E402

BOX = [20.0, 20.0, 40.0, 38.0]


class Module(BoxModule):
    """Finds one box, and remembers in what."""

    most_overlap, enlarge = 0.4, 1.0

    def answers(self, pixels):
        self.seen = pixels
        return []

    def decode(self, outputs):
        return Found(np.array([BOX], np.float32), np.ones(1, np.float32), np.zeros(1, np.intp))


def test_noisy_frames_are_calmed_first():
    rng = np.random.default_rng(0)
    pixels = np.full((64, 96), 120, np.uint8)
    pixels[20:38, 20:40] = 60
    noisy = np.where(rng.random(pixels.shape) < 0.1, 255 * (rng.random(pixels.shape) < 0.5), pixels)
    noisy = noisy.astype(np.uint8)
    truth = Instances(noisy.shape, [BOX], defect_types="loop")
    module = Module(
        ("loop",), torch.nn.Linear(1, 1), SimpleNamespace(freeze="none"), 10, 32, [(noisy, truth)]
    )
    module.validation_step(torch.tensor(0), 0)
    assert not np.array_equal(module.seen, noisy)
    np.testing.assert_array_equal(module.seen, calmed(noisy))


@pytest.mark.parametrize("size", [(239, 239), (100, 170)])
@pytest.mark.parametrize("score", [0.1, 0.3, 0.6])
def test_validation_finds_what_detection_finds(tiny_weights, size, score):
    files = WeightFiles.open(tiny_weights, "heatmap")
    types = files.card.defect_types
    pixels = texture_with_a_caption(*size)
    truth = Instances(pixels.shape, np.zeros((0, 4)), defect_types=np.zeros(0, str))
    network, architecture = with_weights(files, Architecture, HeatmapNetwork)
    module = HeatmapModule(
        types, network.eval(), SimpleNamespace(freeze="none"), 10, architecture.multiple_px,
        [(pixels, truth)],
    )  # fmt: skip
    with torch.no_grad():
        module.validation_step(torch.tensor(0), 0)
    (scored,) = module._scored
    kept = (scored.scores >= score) & ~scored.dropped[THRESHOLDS.tolist().index(score)]

    options = {"weights": str(tiny_weights), "score": score, "engine": "torch"}
    (found,) = Heatmap(HeatmapOptions(**options)).detect([Frame(pixels)])
    assert len(found) > 20
    assert found.boxes.max() == max(size)
    np.testing.assert_allclose(found.boxes, scored.boxes[kept], atol=1e-3)
    np.testing.assert_allclose(found.scores, scored.scores[kept], atol=1e-5)
    assert found.defect_types.tolist() == [types[k] for k in scored.classes[kept]]


def texture_with_a_caption(height, width):
    """Return smooth noise with sharp strokes at its upper rim."""
    rng = np.random.default_rng(4)
    coarse = rng.random((-(-height // 8), -(-width // 8)))
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = (60 + 120 * pixels.clip(0, 1)).astype(np.uint8)
    cv2.putText(pixels, "200 nm", (8, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    return pixels


def test_the_letters_at_a_threshold_are_those_among_what_is_seen_there(tiny_weights):
    pixels = texture_with_a_caption(239, 239)
    boxes = np.array([[8 + 20 * k, 6, 28 + 20 * k, 28] for k in range(3)]
                     + [[40 * k, 100, 40 * k + 24, 124] for k in range(5)], np.float32)  # fmt: skip
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.2, 0.2, 0.2, 0.2], np.float32)
    module = Module(("loop",), torch.nn.Linear(1, 1), SimpleNamespace(freeze="none"), 10, 32,
                    [(pixels, Instances(pixels.shape, boxes, defect_types="loop"))])  # fmt: skip
    module.decode = lambda outputs: Found(boxes, scores, np.zeros(8, np.intp))
    module.validation_step(torch.tensor(0), 0)
    (scored,) = module._scored
    for row, threshold in enumerate(THRESHOLDS):
        seen = scored.scores >= threshold
        expected = in_captions(pixels, scored.boxes[seen])
        assert scored.dropped[row, seen].tolist() == expected.tolist()
    # Beside defects three are letters; alone they are all there is.
    assert scored.dropped[0].sum() == 3
    assert not scored.dropped[-1].any()
