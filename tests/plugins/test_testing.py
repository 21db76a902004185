"""What plugin authors use: the conformance classes and the isolated host."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.plugins import testing
from defectscope.plugins.host import FAMILIES
from defectscope.plugins.testing import (
    AnalysisConformance,
    BackgroundConformance,
    DetectorConformance,
    FormatConformance,
    GeneratorConformance,
    PluginConformance,
    PostProcessorConformance,
    ReaderConformance,
    TrackerConformance,
    isolated_host,
    register,
)

pytest_plugins = ["pytester"]


class Darkest(ds.Detector):
    defect_types = ("black dot",)

    def detect(self, frames):
        return [self.one(frame) for frame in frames]

    def one(self, frame):
        y, x = np.unravel_index(frame.pixels.argmin(), frame.shape)
        return ds.Instances(frame.shape, [[x, y, x + 1, y + 1]], defect_types=["black dot"])


class Flat(ds.Background):
    def render(self, shape, rng):
        return np.full(shape, 0.5, np.float32), {}


class Stain(ds.Generator):
    defect_types = ("black dot",)

    def draw(self, canvas, rng):
        canvas[2:6, 2:6] = 0.1
        return ds.Instances(canvas.shape, [[2, 2, 6, 6]], defect_types=["black dot"])


class Keep(ds.PostProcessor):
    def process(self, frame, instances):
        return instances


class Loners(ds.Tracker):
    def link(self, detections, geometry=None):
        return detections.assign(particle=range(len(detections)))


class Nothing(ds.Analysis):
    def analyse(self, tables):
        return []


class NpyFrames(ds.FrameSequence):
    def __init__(self, path):
        self.path, self.indices, self.names, self.warnings = path, (0,), (path.name,), []

    def read(self, position):
        try:
            return np.load(self.path)
        except (OSError, EOFError, ValueError) as error:
            raise ds.InputError(f"{self.path.name} is no NumPy array: {error}") from error


class Npy(ds.Reader):
    def read(self, path):
        return NpyFrames(path)


class CountList(ds.AnnotationFormat):
    def save(self, dataset, path):
        path.write_text(str(len(dataset.images)))
        return ["only the number of images is kept"]


class TestDetector(DetectorConformance):
    component = Darkest


class TestBackground(BackgroundConformance):
    component = Flat


class TestGenerator(GeneratorConformance):
    component = Stain


class TestPostProcessor(PostProcessorConformance):
    component = Keep


class TestTracker(TrackerConformance):
    component = Loners


class TestAnalysis(AnalysisConformance):
    component = Nothing


class TestReader(ReaderConformance):
    component = Npy
    spec = ds.ReaderSpec("npy", "One array.", "a:B", suffixes=(".npy",))

    def example_file(self, folder):
        np.save(folder / "a.npy", np.eye(9, dtype=np.uint8))
        return folder / "a.npy"


class TestFormat(FormatConformance):
    component = CountList
    spec = ds.FormatSpec("count-list", "Counts.", "a:B", reads=False)


class TestShippedTypes(PluginConformance):
    plugin = "defectscope.plugins.shipped_types"


def test_every_family_has_a_class():
    classes = [getattr(testing, name) for name in testing.__all__ if name.endswith("Conformance")]
    families = {c.family for c in classes if c is not PluginConformance}
    assert families == {*FAMILIES, "commands"}


BROKEN = """
import numpy as np
import defectscope as ds
from pydantic import Field
from defectscope.plugins.testing import DetectorConformance, PluginConformance

class Broken(ds.Detector):
    defect_types = ("black dot",)

    class Options(ds.Options):
        sigma_px: float = Field(1.0, description="blur, px")

    def detect(self, frames):
        return [ds.Instances(frame.shape, [[0, 0, 1, self.options.sigma_px]],
                             defect_types=["cavity"]) for frame in frames]

class TestBroken(DetectorConformance):
    component = Broken

class TestBrokenAndLarge(DetectorConformance):
    component = Broken
    options = {"sigma_px": 5000.0}

class TestPlugin(PluginConformance):
    plugin = "plugin_without_hooks"
"""


def test_a_broken_component_fails_by_the_name_of_the_check(pytester):
    pytester.makepyfile(test_broken=BROKEN, plugin_without_hooks="import scipy")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-rf")
    failed = [line.split(" - ")[0] for line in result.outlines if line.startswith("FAILED")]
    fits = "test_conformance[detections_fit]"
    assert failed == [
        f"FAILED test_broken.py::TestBroken::{fits}",
        f"FAILED test_broken.py::TestBrokenAndLarge::{fits}",
        "FAILED test_broken.py::TestPlugin::test_registers",
        "FAILED test_broken.py::TestPlugin::test_every_target_loads",
        "FAILED test_broken.py::TestPlugin::test_everything_conforms",
        "FAILED test_broken.py::TestPlugin::test_import_is_light",
    ]
    text = result.stdout.str()
    assert "found: cavity" in text
    assert "which loads scipy" in text
    assert "boxes must lie within the frame" in text


COMMAND = """
import click
import defectscope as ds
from defectscope.plugins.testing import CommandConformance, PluginConformance

@ds.hookimpl
def defectscope_commands(cli):
    @cli.command()
    @click.option("--silent")
    def mute(silent):
        pass

@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("gone", "Gone.", "json:JSONDecoder")]

class TestCommand(CommandConformance):
    plugin = "test_command"
    command = "mute"

class TestAbsent(CommandConformance):
    plugin = "test_command"
    command = "absent"

class TestPlugin(PluginConformance):
    plugin = "test_command"
"""


def test_a_careless_command_fails_by_the_name_of_the_check(pytester):
    pytester.makepyfile(test_command=COMMAND)
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-rf")
    failed = [line.split(" - ")[0] for line in result.outlines if line.startswith("FAILED")]
    assert failed == [
        "FAILED test_command.py::TestCommand::test_conformance[is_explained]",
        "FAILED test_command.py::TestAbsent::test_conformance[is_added]",
        "FAILED test_command.py::TestAbsent::test_conformance[is_explained]",
        "FAILED test_command.py::TestAbsent::test_conformance[help_works]",
        "FAILED test_command.py::TestPlugin::test_every_target_loads",
        "FAILED test_command.py::TestPlugin::test_everything_conforms",
    ]
    text = result.stdout.str()
    assert "the command 'mute' needs a docstring" in text
    assert "the hook must add a command 'absent', found: mute" in text


FIXTURES = """
import defectscope as ds

def test_host(defectscope_host):
    assert [record.name for record in defectscope_host.plugins] == ["defect-types"]

def test_things(defectscope_frame, defectscope_instances, defectscope_tables):
    assert defectscope_frame.shape == defectscope_instances.image_shape == (64, 96)
    assert len(defectscope_tables.detections) == len(defectscope_tables.tracks) > 10
"""


def test_fixtures(pytester):
    pytester.makeconftest('pytest_plugins = ["defectscope.plugins.testing"]')
    pytester.makepyfile(FIXTURES)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(passed=2)


def test_register_refuses_what_it_cannot_use():
    host = isolated_host()
    with pytest.raises(ds.PluginLoadError, match="no hook"):
        register(host, object())
    assert [plugin.name for plugin in host.plugins] == ["defect-types"]
