"""Which trainings are the same, and can be gone on with."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_files_that_frames_are_drawn_from_stay_the_same(noted):
    def plan(digest):
        files = {"source 1": {"loops": {"files": {"sizes.json": digest}}}}
        return {"data": RECIPE, "depends_on": {"data": files}}

    name = r"depends_on\.data\.source 1\.loops\.files\.sizes\.json"
    with pytest.raises(OptionError, match=rf"{name} was 1:a, now it is 1:b; use its values"):
        expect_same(noted(plan("1:a")), plan("1:b"))
    expect_same(noted(plan("1:a")), plan("1:a"))
    # Plans from before there were digests say nothing of the files.
    expect_same(noted({"data": RECIPE}), plan("1:a"))


def test_a_plan_has_the_files_of_data_and_validation(squares):
    learned, held_out = squares(), squares()
    job = TrainingJob(learned, Path("a.safetensors"), HeatmapTrainingOptions(), held_out)
    assert "depends_on" not in plan_of(job, "heatmap", 9)
    learned.depends_on = lambda: {"images": "1:a"}
    assert plan_of(job, "heatmap", 9)["depends_on"] == {"data": {"images": "1:a"}}
    held_out.depends_on = lambda: {"images": "1:b"}
    assert plan_of(job, "heatmap", 9)["depends_on"]["validation"] == {"images": "1:b"}


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
