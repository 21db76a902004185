from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import Field

from defectscope.core.base import (
    Analysis,
    AnnotationFormat,
    Background,
    Component,
    Detector,
    Generator,
    PostProcessor,
    Reader,
    Runtime,
    Tracker,
)
from defectscope.core.instances import Instances
from defectscope.core.options import Options


class BlobOptions(Options):
    """Options of Blobs."""

    size_px: float = Field(5, gt=0, description="size, px")


class Blobs(Detector):
    """Finds nothing, and notes when it is opened."""

    Options = BlobOptions
    opened = 0

    def open(self):
        self.opened += 1

    def close(self):
        self.opened -= 1

    def detect(self, frames):
        return [Instances.empty(frame.shape) for frame in frames]


class Dots(Generator):
    """Draws nothing, and cannot move."""

    def draw(self, canvas, rng):
        return Instances.empty(canvas.shape)


def test_options_and_runtime_are_kept_or_made():
    made = Blobs()
    assert made.options == BlobOptions()
    assert made.runtime == Runtime("cpu", 1, 1, False, {})
    options, runtime = BlobOptions(size_px=7), Runtime(device="cuda", threads=4)
    given = Blobs(options, runtime)
    assert given.options is options
    assert given.runtime is runtime


def test_a_component_is_open_inside_with_and_closed_after_an_error():
    made = Blobs()
    with made as same:
        assert same is made
        assert made.opened == 1

    def fail():
        with made:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert made.opened == 0


def test_components_pickle_before_they_are_opened():
    back = pickle.loads(pickle.dumps(Blobs(BlobOptions(size_px=7), Runtime(threads=2))))
    assert back.options.size_px == 7
    assert back.runtime.threads == 2


@pytest.mark.parametrize(
    "family", [Analysis, Background, Detector, Generator, PostProcessor, Reader, Tracker]
)
def test_a_component_needs_the_method_of_its_family(family):
    assert issubclass(family, Component)
    with pytest.raises(TypeError, match="abstract"):
        family()


def test_what_a_component_cannot_do_is_said_with_its_name(tmp_path):
    with pytest.raises(TypeError, match="Dots draws stills only"):
        Dots().sequence(np.zeros((8, 8), np.float32), np.random.default_rng(0), 3)

    class Empty(AnnotationFormat):
        pass

    assert not Empty().accepts(tmp_path)
    with pytest.raises(TypeError, match="Empty cannot be read"):
        Empty().load(tmp_path)
    with pytest.raises(TypeError, match="Empty cannot be written"):
        Empty().save(None, tmp_path)


def test_a_runtime_cannot_be_changed():
    with pytest.raises(AttributeError):
        Runtime().threads = 3
