"""Validation sees frames as detection does."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope import Instances  # noqa: E402
from defectscope.detectors.learning.box_training import BoxModule  # noqa: E402
from defectscope.detectors.learning.calming import calmed  # noqa: E402
from defectscope.detectors.learning.suppression import Found  # noqa: E402

BOX = [20.0, 20.0, 40.0, 38.0]


class Module(BoxModule):
    """Finds one box, and remembers in what."""

    def found_in(self, pixels):
        self.seen = pixels
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
