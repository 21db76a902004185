"""Frame indices counted in steps."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.frame_steps import common_step, in_steps, steps_between, typical_step


@pytest.mark.parametrize(
    ("frames", "typical", "common"),
    [
        ([3, 4, 5, 9], 1, 1),
        (range(0, 40, 5), 5, 5),
        ([0, 5, 15, 20, 30], 5, 5),  # holes
        ([0, 5, 10, 15, 16], 5, 1),  # one more frame
        ([10, 0, 0, 20], 10, 10),
        ([7], 1, 1),
        ([], 1, 1),
    ],
)
def test_steps_of_a_series(frames, typical, common):
    assert typical_step(list(frames)) == typical
    assert common_step(list(frames)) == common


def test_places_count_steps_and_holes():
    frames = np.array([461, 461, 466, 476, 477, 484])
    assert in_steps(frames, 1) is frames
    assert in_steps(frames, 5).tolist() == [0, 0, 1, 3, 4, 5]
    assert in_steps(frames[:0], 5).tolist() == []
    assert [steps_between(apart, 5) for apart in (0, 1, 5, 7, 8, 10)] == [0, 1, 1, 1, 2, 2]
