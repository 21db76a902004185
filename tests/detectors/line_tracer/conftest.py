"""Weights of a very small network that answers something, made without training."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def line_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a safetensors file with its twin and card."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from defectscope import WeightFiles, WeightsCard
    from defectscope.detectors.learning.export import onnx_bytes
    from defectscope.detectors.line_tracer.network import Architecture, LineNetwork

    architecture = Architecture(stem=4, channels=(8, 8), blocks=(1, 1), head=8)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        network = LineNetwork(architecture).eval()
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                value.normal_(std=0.2)
        network.out.bias.zero_()
        presence, offsets, _ = network(torch.randn(1, 1, 64, 64))
        network.out.weight[:16] *= 2 / presence.std()
        # A few places look like lines, not all of them.
        network.out.bias[:16] = -3.5
        network.out.weight[16:32] *= 0.5 / offsets.std()
    twin = onnx_bytes(network, torch.zeros(1, 1, 32, 32), ("presence", "offsets", "ends"))
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    card = WeightsCard(
        detector="line-tracer", defect_types=("dislocation",), threshold=0.4, task="lines",
        architecture=architecture.model_dump(mode="json"), data="nothing",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("line-weights")
    return WeightFiles.save(folder / "tiny.safetensors", card, tensors, twin).tensors
