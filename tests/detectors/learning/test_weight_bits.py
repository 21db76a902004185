"""Weights in 16 bits: what is written, whatever the network."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.weights import read_tensors
from defectscope.plugins.host import default_host

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("onnx")

RECIPE = """
title = "drawn"
defect_types = ["{defect_type}"]
[[source]]
generators = ["{generator}"]
size = 96
[source.options.{generator}]
count = 4
"""
CROPS = {"crop_px": 64, "frames_per_step": 1, "crops_per_frame": 1, "validation_frames": 1}
U_NET = {"channels": (8, 8), "blocks": (1, 1)}
LINE_TRACER = U_NET | {"stem": 4, "head": 8, "fine": 1}


@pytest.mark.parametrize(("bits", "kind"), [(16, np.float16), (32, np.float32)])
@pytest.mark.parametrize(
    ("detector", "generator", "defect_type", "network"),
    [
        ("line-tracer", "dislocations", "dislocation", LINE_TRACER),
        ("heatmap", "in-situ-loops", "dislocation-loop", U_NET),
    ],
)
def test_convolutions_are_kept_in_as_many_bits_as_asked_for(
    tmp_path, detector, generator, defect_type, network, bits, kind
):
    recipe = tmp_path / "drawn.toml"
    recipe.write_text(RECIPE.format(generator=generator, defect_type=defect_type))
    with pytest.warns(UserWarning, match="nothing is found"):
        files = ds.train(
            detector, recipe, tmp_path / "weights.safetensors", steps=1, workers=0,
            options={**CROPS, **network, "weight_bits": bits},
        )  # fmt: skip
    tensors = read_tensors(files.tensors)
    assert {value.dtype for value in tensors.values() if value.ndim == 4} == {np.dtype(kind)}
    pixels = np.random.default_rng(0).random((1, 1, 128, 128), np.float32)
    answers = []
    for engine in ("onnx", "torch"):
        options = {"weights": str(files.tensors), "engine": engine}
        built = default_host().build("detectors", detector, options)
        answers.append(built.engine(pixels))
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
