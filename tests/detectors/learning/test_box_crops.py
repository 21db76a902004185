"""What detectors of boxes learn from is what they will be shown."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from defectscope import Instances
from defectscope.detectors.faster_rcnn.crops import CropMaker as FasterRcnnCrops
from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions
from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.heatmap.crops import CropMaker as HeatmapCrops
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.calming import calmed
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.yolov3.architecture import Architecture as YoloArchitecture
from defectscope.detectors.yolov3.crops import CropMaker as YoloCrops
from defectscope.detectors.yolov3.options import YoloTrainingOptions

PLAIN = {"crop_px": 96, "rotate": False, "blur_px": 0, "noise": 0, "gamma": 1, "jpeg": 0,
         "scale_low": 1, "scale_high": 1, "crops_per_frame": 1}  # fmt: skip
MAKERS = {
    "heatmap": HeatmapCrops(HeatmapTrainingOptions(**PLAIN), ("loop",), Architecture()),
    "yolov3": YoloCrops(YoloTrainingOptions(**PLAIN, brightness=0, contrast=0), ("loop",),
                        YoloArchitecture()),
    "faster-rcnn": FasterRcnnCrops(FasterRcnnTrainingOptions(**PLAIN), ("loop",), "grey"),
}  # fmt: skip


class Noisy:
    """One frame with many broken pixels."""

    length = 1

    def load(self, number):
        rng = np.random.default_rng(number)
        pixels = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
        pixels[20:38, 20:40] = 0
        pixels[rng.random(pixels.shape) < 0.05] = 255
        return pixels, Instances(pixels.shape, [[20, 20, 40, 38]], defect_types="loop")


@pytest.mark.parametrize("name", MAKERS)
def test_frames_are_calmed_before_they_are_learned(name):
    raw, _ = Noisy().load(0)
    batch = MAKERS[name](Noisy(), [0], np.random.default_rng(0))
    found = batch["pixels"][0, 0].numpy()
    np.testing.assert_allclose(found, normalised(calmed(raw)), atol=1e-3)
    assert np.abs(found - normalised(raw)).max() > 1
