"""The shipped weights for dislocation lines: whole, from their recipe, and of use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import defectscope as ds
from defectscope.core.line_metrics import LineScores, score_lines
from defectscope.core.weights import WeightFiles, find_weights
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.recipes import RecipeData
from defectscope.pipeline.samples import SampleMaker, SamplePlan
from defectscope.plugins.host import default_host
from defectscope.weights import plugin

RECIPES = Path(plugin.__file__).parent / "recipes"


@cache
def synthetic():
    """Return frames that no training has seen, which need no files, and their lines."""
    frames = []
    for background in ("perlin", "texture"):
        chosen = make_choices([background, "dislocations"], {"dislocations": {"preset": "m1"}})
        plan = SamplePlan(chosen[0], (chosen[1],), (512, 512), 990_017)
        with SampleMaker(plan, default_host()) as maker:
            for number in range(3):
                (drawn,), _ = maker.make(number)
                frames.append((drawn.pixels, drawn.truth))
    return frames


def files():
    return WeightFiles.open(find_weights("lines", default_host().weights()), "line-tracer")


@pytest.fixture(scope="module")
def detector():
    host = default_host()
    runtime = ds.Runtime(defect_types=host.defect_types(), weights=host.weights())
    with host.build("detectors", "line-tracer", {}, runtime) as built:
        yield built


def test_files_are_those_of_the_card_and_small():
    card = files().card
    assert card.defect_types == ("dislocation",)
    assert card.licence == "MIT"
    assert card.recipe["data"] == RecipeData.read(RECIPES / "lines.toml").recipe()
    sizes = [files().checked(suffix).stat().st_size for suffix in (".safetensors", ".onnx")]
    assert sum(sizes) < 10e6


def test_lines_on_other_backgrounds_are_found_and_few_are_invented(detector):
    total = LineScores()
    for pixels, truth in synthetic():
        (found,) = detector.detect([ds.Frame(pixels)])
        total += score_lines(found.lines or (), truth.lines or ())
    assert (total.score or 0) > 0.75
    assert (total.precision or 0) > 0.8


@pytest.mark.parametrize("shape", [(500, 500), (300, 513)])
def test_no_line_begins_at_the_rim_of_a_frame_of_any_size(detector, shape):
    # Continued, the last row or column of an empty texture would be a bundle of lines.
    chosen = make_choices(["perlin", "dislocations"], {"dislocations": {"count": 0}})
    plan = SamplePlan(chosen[0], (chosen[1],), shape, 990_018)
    with SampleMaker(plan, default_host()) as maker:
        for number in range(4):
            (drawn,), _ = maker.make(number)
            assert not len(detector.detect([ds.Frame(drawn.pixels)])[0])
