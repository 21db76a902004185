"""``unetpp`` from a network of random weights on."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Frame, WeightFiles, WeightsCard
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.detector import Unetpp, UnetppOptions
from defectscope.plugins.testing import DetectorConformance

pytest.importorskip("segmentation_models_pytorch")


SIZES = {
    "whole": {},
    "reduced": {
        "decoder_channels": [16, 16, 16, 16, 8], "reduce": 2, "places": True,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return safetensors files with twin and card, by the name of their size."""
    import torch

    from defectscope.detectors.learning.export import onnx_bytes
    from defectscope.detectors.unetpp.network import UnetppNetwork

    folder, found = tmp_path_factory.mktemp("unetpp"), {}
    for name, size in SIZES.items():
        architecture = Architecture(encoder="mobilenet_v2", masks=4, **size)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = UnetppNetwork(architecture).eval()
        side = 2 * architecture.multiple_px
        twin = onnx_bytes(network, torch.zeros(1, 1, side, side), ("masks",))
        tensors = {k: value.contiguous().numpy() for k, value in network.state_dict().items()}
        card = WeightsCard(
            detector="unetpp", defect_types=("dislocation",), threshold=0.5, task="lines",
            architecture=architecture.model_dump(mode="json"), data="nothing",
        )  # fmt: skip
        found[name] = WeightFiles.save(folder / f"{name}.safetensors", card, tensors, twin).tensors
    return found


@pytest.fixture(params=SIZES)
def weights(request, made):
    """Return the path of one of them."""
    return made[request.param]


class TestConformance(DetectorConformance):
    component = Unetpp

    @pytest.fixture(autouse=True)
    def _small(self, made):
        self.options = {"weights": str(made["reduced"])}


def frame(height, width, dtype=np.uint8):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (height, width))
    return Frame(pixels.astype(dtype), 0)


@pytest.mark.parametrize("size", [(40, 33), (200, 300)])
def test_frames_of_any_size_give_masks_and_splines_inside(weights, size):
    options = UnetppOptions(weights=str(weights), tile_px=128, halo_px=32, score=0.01)
    (found,) = Unetpp(options).detect([frame(*size, np.uint16)])
    assert found.image_shape == size
    for mask, line in zip(found.masks or (), found.lines or (), strict=True):
        assert mask.area_px >= 20
        assert line.shape == (50, 2)


def test_onnx_and_torch_agree(weights):
    areas = []
    for engine in ("onnx", "torch"):
        detector = Unetpp(UnetppOptions(weights=str(weights), engine=engine, score=0.01))
        masks = detector.detect([frame(64, 96)])[0].masks
        areas.append([mask.area_px for mask in masks or ()])
    np.testing.assert_allclose(areas[0], areas[1], rtol=0.02)
