"""Which trainings are the same, and can be gone on with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from defectscope import TrainingJob, WeightFiles, WeightsCard
from defectscope.core.errors import OptionError
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.plans import complete_weights, expect_same, plan_of

RECIPE = {"title": "loops", "seed": 0}


@pytest.fixture
def noted(tmp_path):
    """Return a function that notes a plan."""

    def note(plan):
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return tmp_path / "plan.json"

    return note


def test_random_streams_are_not_mixed(noted):
    before, now = {"data": RECIPE}, {"data": RECIPE | {"streams": 2}}
    with pytest.raises(OptionError, match=r"data\.streams was 1, now it is 2; use its values"):
        expect_same(noted(before), now)
    with pytest.raises(OptionError, match=r"data\.streams was 2, now it is 1; use its values"):
        expect_same(noted(now), before)
    for plan in (before, now):
        expect_same(noted(plan), plan)


@pytest.mark.parametrize("more", [{}, {"threads": 3}])
def test_what_cards_say_beside_the_plan_makes_no_other_training(tmp_path, squares, more):
    out = tmp_path / "a.safetensors"
    job = TrainingJob(squares(), out, HeatmapTrainingOptions(), resume=True)
    assert complete_weights(job, "heatmap") is None
    card = WeightsCard(
        detector="heatmap", defect_types=job.data.defect_types, architecture={}, threshold=0.5,
        data="squares", recipe={**plan_of(job, "heatmap", 5000), "best_step": 9, **more},
    )  # fmt: skip
    WeightFiles.save(out, card, {"a": np.zeros(2, np.float32)}, None)
    assert complete_weights(job, "heatmap").card.recipe == card.recipe
