"""The shipped weights of ``unetpp``: whole, from their recipe, and of use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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


def files():
    return WeightFiles.open(find_weights("unetpp-lines", default_host().weights()), "unetpp")


@pytest.fixture(scope="module")
def detector():
    host = default_host()
    runtime = ds.Runtime(defect_types=host.defect_types(), weights=host.weights())
    with host.build("detectors", "unetpp", {}, runtime) as built:
        yield built


def test_files_are_those_of_the_card_and_small():
    card = files().card
    assert card.defect_types == ("dislocation",)
    # The encoder began with weights under the Apache License.
    assert card.licence == "MIT AND Apache-2.0"
    assert card.recipe["data"] == RecipeData.read(RECIPES / "tile-lines.toml").recipe()
    sizes = [files().checked(suffix).stat().st_size for suffix in (".safetensors", ".onnx")]
    assert sum(sizes) < 30e6


def test_lines_of_a_fitted_material_have_masks_of_their_own(detector):
    # Frames that no training has seen, of four tiles and more.
    total = LineScores()
    for background in ("perlin", "texture"):
        chosen = make_choices([background, "dislocations"], {"dislocations": {"preset": "m1"}})
        plan = SamplePlan(chosen[0], (chosen[1],), (448, 448), 990_027)
        with SampleMaker(plan, default_host()) as maker:
            for number in range(2):
                (drawn,), _ = maker.make(number)
                (found,) = detector.detect([ds.Frame(drawn.pixels)])
                assert found.masks is not None
                total += score_lines(found.lines or (), drawn.truth.lines or ())
    assert (total.score or 0) > 0.5
    assert (total.precision or 0) > 0.5


def test_frames_without_a_line_have_none(detector):
    # Smaller than a tile, and deep.
    grain = np.random.default_rng(3).normal(1000, 50, (200, 180)).astype(np.uint16)
    (found,) = detector.detect([ds.Frame(grain)])
    assert len(found) == 0
