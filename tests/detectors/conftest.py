"""Weights of a very small network, made without training."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a safetensors file with its twin and card; two defect types, many peaks."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from defectscope import WeightFiles, WeightsCard
    from defectscope.detectors.heatmap.network import Architecture, HeatmapNetwork
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
