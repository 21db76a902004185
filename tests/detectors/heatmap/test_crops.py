"""What ``heatmap`` learns from a crop."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from defectscope import Instances
from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions


def test_nothing_is_learned_within_a_region_to_ignore_that_is_larger_than_a_crop():
    options = HeatmapTrainingOptions(crop_px=64)
    maker = CropMaker(options, ("loop",), Architecture())
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    truth = Instances((300, 300), [(0, 0, 300, 300)], defect_types="loop", ignore=[True])
    crop = maker.crop(pixels, truth, np.random.default_rng(1))
    assert not crop["counted"].any()
