"""Weights of a very narrow YOLOv3-tiny, made without training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from defectscope import WeightFiles, WeightsCard

TYPES = ("black dot", "dislocation-loop")


@pytest.fixture(scope="session")
def narrow():
    """Return the network: two types, boxes of a few cells, many of them."""
    torch = pytest.importorskip("torch")
    # Not imported here: it would patch what other tests use.
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    from defectscope.detectors.yolov3.architecture import Architecture
    from defectscope.detectors.yolov3.network import YoloNetwork

    architecture = Architecture(variant="yolov3-tiny", width=0.05, classes=2)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        network = YoloNetwork(architecture)
        pixels = torch.randn(2, 1, 16, 16).repeat_interleave(8, 2).repeat_interleave(8, 3)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        # Layers get the statistics of what they see, as in a trained network.
        network.train()(pixels)
        network.eval()
        for k in range(2):
            box, kind = network.head.cv2[k][-1], network.head.cv3[k][-1]
            box.bias.copy_(torch.tensor([-3.0, 3.0, 3.0] + [-3.0] * 13).repeat(4))
            kind.weight *= 1 / network(pixels)[k][:, 64:].std()
            kind.bias.copy_(-network(pixels)[k][:, 64:].mean(dim=(0, 2, 3)) + kind.bias)
        # Rounded, as the files are.
        for value in network.state_dict().values():
            if value.ndim == 4:
                value.copy_(value.half().float())
    return network


@pytest.fixture(scope="session")
def yolo_weights(narrow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a safetensors file with its twin and card."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from defectscope.detectors.learning.export import onnx_bytes

    architecture = narrow.architecture
    twin = onnx_bytes(narrow, torch.zeros(1, 1, 128, 128), architecture.outputs, weight_bits=16)
    tensors = {
        name: (value.half() if value.ndim == 4 else value).numpy()
        for name, value in narrow.state_dict().items()
    }
    card = WeightsCard(
        detector="yolov3", defect_types=TYPES, threshold=0.6, data="nothing",
        architecture=architecture.model_dump(mode="json"),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("yolo")
    return WeightFiles.save(folder / "narrow.safetensors", card, tensors, twin).tensors
