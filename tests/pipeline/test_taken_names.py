"""Shipped components stay the defaults where a plugin takes their names."""

from __future__ import annotations

import pytest

import defectscope as ds
from defectscope.core.errors import PluginClashError
from defectscope.core.weights import find_weights
from defectscope.pipeline.benchmark_entrants import chosen_detectors
from defectscope.pipeline.recipes import RecipeSource
from defectscope.plugins.host import PluginHost
from defectscope.plugins.testing import register

NAMES = {
    "backgrounds": "texture",
    "generators": "in-situ-loops",
    "detectors": "heatmap",
    "postprocessors": "watershed-ellipse",
    "trackers": "trackpy",
    "weights": "loops",
}


def specs(*names):
    return lambda: [ds.ComponentSpec(name, "Another.", "nowhere:Nothing") for name in names]


class Rival:
    """Registers the names of shipped components."""

    def __init__(self):
        for family, name in NAMES.items():
            setattr(self, f"defectscope_{family}", ds.hookimpl(specs(name)))
        self.defectscope_detectors = ds.hookimpl(specs("heatmap", "dark-blobs"))
        self.defectscope_formats = ds.hookimpl(
            lambda: [ds.FormatSpec("coco", "Another.", "nowhere:Nothing", writes=True)]
        )


@pytest.fixture(scope="module")
def host():
    made = PluginHost(allowed=())
    register(made, Rival(), "rival", "rival-dist")
    return made


@pytest.fixture(scope="module")
def data(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taken") / "data"
    ds.generate("loops", folder, size=96, host=host)
    return folder


def test_the_names_are_taken(host):
    for family, name in {**NAMES, "formats": "coco"}.items():
        with pytest.raises(PluginClashError):
            host.find(family, name)


def test_datasets_are_written_and_drawn_again(host, data):
    assert (data / "annotations.json").is_file()
    again = ds.generate("loops", data, size=96, host=host, resume=True)
    assert len(again.images) == 1
    plain = ds.generate("loops", data, size=96, background="texture", resume=True)
    assert len(plain.images) == 1


def test_a_run_takes_the_shipped_detector_and_its_weights(host, data, tmp_path):
    frames = ds.open(data / "images", host=host)
    result = ds.Pipeline(host=host, analyses=()).run(frames, tmp_path / "run")
    (component,) = result.info["plan"]["components"]
    assert component["distribution"] == "defectscope"
    assert component["options"]["weights"] == "loops"
    resumed = ds.Pipeline("heatmap", analyses=()).run(frames, tmp_path / "run", resume=True)
    assert len(resumed.frames) == 1


def test_weights_that_the_user_names_must_be_unambiguous(host):
    named = host.build("detectors", "defectscope/heatmap", {"weights": "loops"})
    with pytest.raises(PluginClashError, match="defectscope/loops"):
        assert named.files
    with pytest.raises(PluginClashError, match="defectscope/loops"):
        find_weights("loops", host.weights())
    assert find_weights("loops", host.weights(), shipped=True).name == "heatmap-loops.safetensors"


def test_what_a_benchmark_is_compared_with_is_shipped(host):
    (own, reference) = chosen_detectors("defectscope/heatmap", {}, host)
    assert (own.alias, reference.alias) == ("heatmap", "dark-blobs")
    assert host.find("detectors", reference.name).plugin.distribution == "defectscope"


def test_a_recipe_draws_on_the_shipped_background(host):
    plan = RecipeSource(generators=("loops",)).plan(0)
    assert host.find("backgrounds", plan.background.name).plugin.distribution == "defectscope"
