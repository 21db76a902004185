"""The shipped weights of three defect types: whole, from their recipe, and of use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import pytest

import defectscope as ds
from defectscope.core.metrics import Counts, count_matches
from defectscope.core.weights import WeightFiles, find_weights
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.recipes import RecipeData
from defectscope.plugins.host import default_host
from defectscope.weights import plugin

RECIPES = Path(plugin.__file__).parent / "recipes"
TYPES = ("a/2<111> loop", "black dot", "a<100> loop")
WEIGHTS = [("types", "heatmap"), ("faster-rcnn-types", "faster-rcnn")]


@cache
def synthetic():
    """Return frames of the recipe that training has not seen, and their truth."""
    with RecipeData.read(RECIPES / "types-balanced.toml") as data:
        return [data.load(number) for number in range(2**31 + 1000, 2**31 + 1006)]


def files_of(name, detector):
    return WeightFiles.open(find_weights(name, default_host().weights()), detector)


def scores(name, detector, frames, iou):
    """Return F1 of each type in (pixels, truth)."""
    host = default_host()
    runtime = ds.Runtime(defect_types=host.defect_types(), weights=host.weights())
    with host.build("detectors", detector, {"weights": name}, runtime) as built:
        found = [built.detect([ds.Frame(pixels)])[0] for pixels, _ in frames]
    f1 = {}
    for kind in TYPES:
        counts = Counts(0, 0, 0)
        for mine, (_, truth) in zip(found, frames, strict=True):
            other = truth.ignore | (truth.defect_types == kind)
            counts += count_matches(mine[mine.defect_types == kind], truth[other], iou)
        f1[kind] = counts.f1
    return f1


@pytest.mark.parametrize(("name", "detector"), WEIGHTS)
def test_files_are_those_of_the_card_and_small(name, detector):
    files = files_of(name, detector)
    assert files.card.defect_types == TYPES
    assert files.card.licence == "MIT"
    recipe = RecipeData.read(RECIPES / "types-balanced.toml")
    assert files.card.recipe["data"] == recipe.recipe()
    for suffix in (".safetensors", ".onnx"):
        assert files.checked(suffix).stat().st_size < 8e6


@pytest.mark.parametrize(("name", "detector"), WEIGHTS)
def test_each_type_is_found_in_other_images_of_the_recipe(name, detector):
    found = scores(name, detector, synthetic(), 0.4)
    least = {"a/2<111> loop": 0.4, "black dot": 0.5, "a<100> loop": 0.2}
    assert all(found[kind] > least[kind] for kind in TYPES), found


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "detector"), WEIGHTS)
def test_loops_and_dots_of_real_images(real_data, name, detector):
    folder = real_data("stem-multitype")
    frames = [
        (cv2.imread(str(folder / image.file_name), cv2.IMREAD_GRAYSCALE), image.instances)
        for image in open_dataset(folder, default_host()).images
    ]
    found = scores(name, detector, frames, 0.4)
    assert found["a/2<111> loop"] > 0.45, found
    assert found["black dot"] > 0.5, found
