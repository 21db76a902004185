"""Training ``line-tracer``: what is written."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.weights import read_tensors
from defectscope.detectors.line_tracer.detector import LineTracer, LineTracerOptions

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("onnx")

RECIPE = """
title = "lines"
defect_types = ["dislocation"]
[[source]]
generators = ["dislocations"]
size = 96
[source.options.dislocations]
count = 4
"""
TINY = {
    "stem": 4, "channels": (8, 8), "blocks": (1, 1), "head": 8, "fine": 1,
    "crop_px": 64, "frames_per_step": 1, "crops_per_frame": 1, "validation_frames": 1,
}  # fmt: skip


@pytest.mark.parametrize(("bits", "kind"), [(16, np.float16), (32, np.float32)])
def test_convolutions_are_kept_in_as_many_bits_as_asked_for(tmp_path, bits, kind):
    recipe = tmp_path / "lines.toml"
    recipe.write_text(RECIPE)
    with pytest.warns(UserWarning, match="nothing is found"):
        files = ds.train(
            "line-tracer", recipe, tmp_path / "lines.safetensors", steps=1, workers=0,
            options={**TINY, "weight_bits": bits},
        )  # fmt: skip
    tensors = read_tensors(files.tensors)
    assert {value.dtype for value in tensors.values() if value.ndim == 4} == {np.dtype(kind)}
    assert files.card.architecture["fine"] == 1
    pixels = np.random.default_rng(0).random((1, 1, 128, 128), np.float32)
    answers = []
    for engine in ("onnx", "torch"):
        detector = LineTracer(LineTracerOptions(weights=str(files.tensors), engine=engine))
        answers.append(detector.engine(pixels))
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
