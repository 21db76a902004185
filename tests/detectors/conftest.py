"""Weights of a very small network, made without training, and frames to train others on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defectscope import Instances, TrainingData


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a safetensors file with its twin and card; two defect types, many peaks."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from defectscope import WeightFiles, WeightsCard
    from defectscope.detectors.heatmap.architecture import Architecture
    from defectscope.detectors.heatmap.network import HeatmapNetwork
    from defectscope.detectors.learning.export import onnx_bytes

    architecture = Architecture(channels=(8, 12), blocks=(1, 1), classes=2)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        network = HeatmapNetwork(architecture).eval()
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                value.normal_(std=0.2)
        # Logits and logarithms as a trained network has them.
        network.out.bias.zero_()
        centres, sides = network(torch.randn(1, 1, 64, 64))
        network.out.weight[:8] *= 2 / centres.std()
        network.out.weight[8:] *= 0.3 / sides.std()
    twin = onnx_bytes(network, torch.zeros(1, 1, 32, 32), ("centres", "sides"))
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    card = WeightsCard(
        detector="heatmap", defect_types=("black dot", "dislocation-loop"), threshold=0.6,
        architecture=architecture.model_dump(mode="json"), data="nothing",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    return WeightFiles.save(folder / "tiny.safetensors", card, tensors, twin).tensors


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


@pytest.fixture
def squares() -> type[Squares]:
    """Return what makes data of some squares of one or two types."""
    return Squares
