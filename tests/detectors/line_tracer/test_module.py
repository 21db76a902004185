"""Validation of ``line-tracer`` while it is trained."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Frame, Instances, WeightFiles
from defectscope.detectors.line_tracer.detector import LineTracer, LineTracerOptions
from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions
from defectscope.detectors.line_tracer.tracing import TracingRules

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")


def test_validation_traces_what_detection_does_in_frames_that_are_padded(line_weights):
    from defectscope.detectors.learning.networks import with_weights
    from defectscope.detectors.line_tracer.module import LineModule
    from defectscope.detectors.line_tracer.network import Architecture, LineNetwork

    pixels = np.random.default_rng(0).integers(0, 256, (230, 230), np.uint8)
    network, _ = with_weights(
        WeightFiles.open(line_weights, "line-tracer"), Architecture, LineNetwork
    )
    frames = [(pixels, Instances((230, 230), []))]
    # Both pad such a frame to 256 px.
    module = LineModule(network, LineTracerTrainingOptions(), 1, 32, frames).eval()
    with torch.inference_mode():
        module.validation_step(torch.tensor(0), 0)
    ((lines, *_),) = module._found
    least = max(TracingRules().least_score, 1e-6)
    options = LineTracerOptions(weights=str(line_weights), engine="torch", score=least)
    with LineTracer(options) as detector:
        (found,) = detector.detect([Frame(pixels, 0)])
    assert len(lines) == len(found) > 3
    for line, other in zip(lines, found.lines, strict=True):
        np.testing.assert_allclose(np.clip(line.points, 0, 230), other, atol=1e-3)
