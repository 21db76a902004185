"""Detectors that fail, or answer wrongly, when they are to learn."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.weights import weights
from defectscope.core.errors import ComponentError, OutputError, PluginLoadError
from defectscope.core.weights import WeightFiles, WeightsCard
from defectscope.pipeline.training import train
from defectscope.plugins.testing import isolated_host

WHO = r"^'learner' of test-distribution 0 \(plugin 'Plugin'\) "


class Plain(ds.Background):
    """Grey."""

    def render(self, shape, rng):
        return np.full(shape, 0.5, np.float32), {}


class Dot(ds.Generator):
    """A dot."""

    defect_types = ("black dot",)

    def draw(self, canvas, rng):
        canvas[3:6, 4:8] = 0
        return ds.Instances(canvas.shape, [[4, 3, 8, 6]], defect_types="black dot")


def fail(error):
    raise error


class Learner(ds.TrainableDetector):
    """Does what a test puts in the place of each step."""

    defect_types = ("black dot",)
    made = before = learned = converted = staticmethod(lambda: None)

    def __init__(self, options=None, runtime=None):
        super().__init__(options, runtime)
        type(self).made()

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]

    def before_training(self, job):
        return type(self).before()

    def train(self, job):
        return type(self).learned()

    @classmethod
    def convert(cls, source, out, defect_types):
        return cls.converted()


class Plugin:
    """Registers them."""

    @ds.hookimpl
    def defectscope_backgrounds(self):
        return [ds.ComponentSpec("plain", "Grey.", f"{__name__}:Plain")]

    @ds.hookimpl
    def defectscope_generators(self):
        return [ds.ComponentSpec("dot", "A dot.", f"{__name__}:Dot")]

    @ds.hookimpl
    def defectscope_detectors(self):
        return [ds.ComponentSpec("learner", "Learns.", f"{__name__}:Learner")]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "dots.toml"
    path.write_text(
        'defect_types = ["black dot"]\n[[source]]\nbackground = "plain"\ngenerators = ["dot"]\n'
    )
    return path


CASES = {
    "made": (PluginLoadError, "'learner' cannot be made: ValueError: no idea"),
    "before": (ComponentError, f"{WHO}failed before it trained: ValueError: no idea"),
    "learned": (ComponentError, f"{WHO}failed while it trained: ValueError: no idea"),
}


@pytest.mark.parametrize("step", CASES)
def test_a_detector_that_fails_is_named(step, recipe, tmp_path, monkeypatch):
    error, message = CASES[step]
    monkeypatch.setattr(Learner, step, staticmethod(lambda: fail(ValueError("no idea"))))
    with pytest.raises(error, match=message):
        train("learner", recipe, tmp_path / "x.safetensors", host=isolated_host(Plugin()))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"threads": -1}, "threads must be a whole number of at least 0, found -1"),
        ({"workers": 1.5}, "workers must be a whole number of at least 0, found 1.5"),
        ({"steps": 0}, "steps must be a whole number of at least 1, found 0"),
        ({"seed": "a"}, "seed must be a whole number of at least 0, found 'a'"),
        ({"device": "tpu"}, "device must be cpu or cuda, found 'tpu'"),
        ({"options": 3}, "options are a table, such as .* found 3"),
        ({"rename": 3}, "rename must be new names of defect types by old ones.* found 3"),
        ({"data": 5}, "expected the path of a file or folder; found 5"),
        ({"validation": 5}, "expected the path of a file or folder; found 5"),
        ({"out": 5}, "expected the path of a file or folder; found 5"),
        ({"name": 5}, "a component is named by text"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_leaves_nothing(wrong, sentence, recipe, tmp_path):
    given = {"name": "learner", "data": recipe, "out": tmp_path / "x.safetensors", **wrong}
    with pytest.raises(ds.UsageError, match=sentence):
        train(**given, host=isolated_host(Plugin()))
    assert list(tmp_path.iterdir()) == [recipe]


@pytest.mark.parametrize("error", [OutputError("the disk is full"), KeyboardInterrupt()])
def test_what_is_no_fault_of_it_comes_through(error, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(Learner, "learned", staticmethod(lambda: fail(error)))
    with pytest.raises(type(error)) as caught:
        train("learner", recipe, tmp_path / "x.safetensors", host=isolated_host(Plugin()))
    assert caught.value is error


def test_a_detector_that_returns_no_weights_is_named(recipe, tmp_path):
    with pytest.raises(ComponentError, match=f"{WHO}must return WeightFiles, found NoneType"):
        train("learner", recipe, tmp_path / "x.safetensors", host=isolated_host(Plugin()))


def weight_files(path, detector="learner"):
    card = ds.WeightsCard(
        detector=detector, defect_types=["black dot"], architecture={}, threshold=0.5, data="none"
    )
    return ds.WeightFiles.save(path, card, {"a": np.zeros(1, np.float32)}, None)


@pytest.mark.parametrize("step", ["learned", "before"])
def test_weights_that_it_writes_elsewhere_are_no_success(step, recipe, tmp_path, monkeypatch):
    out, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    monkeypatch.setattr(Learner, step, staticmethod(lambda: weight_files(other)))
    with pytest.raises(ComponentError, match=rf"{WHO}must write .*x\.safe.*, found .*y\.safe"):
        train("learner", recipe, out, host=isolated_host(Plugin()))
    gone = ds.WeightFiles(tmp_path / "x", weight_files(other).card)
    monkeypatch.setattr(Learner, step, staticmethod(lambda: gone))
    with pytest.raises(ComponentError, match=rf"{WHO}must write .*x\.safe.*, found no such file"):
        train("learner", recipe, out, host=isolated_host(Plugin()))


def test_a_card_of_another_detector_is_refused(recipe, tmp_path, monkeypatch):
    out = tmp_path / "x.safetensors"
    monkeypatch.setattr(Learner, "learned", staticmethod(lambda: weight_files(out, "heatmap")))
    with pytest.raises(ComponentError, match=f"{WHO}must write a card .* 'learner' .* 'heatmap'"):
        train("learner", recipe, out, host=isolated_host(Plugin()))
    monkeypatch.setattr(Learner, "learned", staticmethod(lambda: weight_files(out)))
    name = "test-distribution/learner"
    files = train(name, recipe, out, host=isolated_host(Plugin()), overwrite=True)
    assert files.tensors == out
    # Derived from another one, it may write weights of that name.
    monkeypatch.setattr(Learner, "name", "heatmap", raising=False)
    monkeypatch.setattr(Learner, "learned", staticmethod(lambda: weight_files(out, "heatmap")))
    files = train("learner", recipe, out, host=isolated_host(Plugin()), overwrite=True)
    assert files.card.detector == "heatmap"


def test_without_say_what_warns_is_a_warning(recipe, tmp_path, monkeypatch):
    def talk(self, job):
        job.say("step 1 of 2")
        job.say("warning: dots: nothing is found")
        return weight_files(job.out)

    monkeypatch.setattr(Learner, "train", talk)
    given = {"out": tmp_path / "x.safetensors", "host": isolated_host(Plugin()), "overwrite": True}
    with pytest.warns(UserWarning, match="^dots: nothing is found$") as caught:
        train("learner", recipe, **given)
    assert len(caught) == 1
    said = []
    train("learner", recipe, **given, say=said.append)
    assert said == ["step 1 of 2", "warning: dots: nothing is found"]


def test_what_it_returns_before_training_is_looked_at(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(Learner, "before", staticmethod(lambda: True))
    message = f"{WHO}must return WeightFiles or None, found bool before it trained"
    with pytest.raises(ComponentError, match=message):
        train("learner", recipe, tmp_path / "x.safetensors", host=isolated_host(Plugin()))


def test_weights_that_it_cannot_read(tmp_path, monkeypatch):
    given = ["convert", "a.pt", str(tmp_path / "b.safetensors"), "--detector", "learner"]
    done = CliRunner().invoke(weights, given, obj=isolated_host(Plugin()))
    assert isinstance(done.exception, ComponentError)
    assert "must return WeightFiles, found NoneType while it read a.pt" in str(done.exception)
    monkeypatch.setattr(Learner, "converted", staticmethod(lambda: fail(KeyError("anchors"))))
    done = CliRunner().invoke(weights, given, obj=isolated_host(Plugin()))
    assert isinstance(done.exception, ComponentError)
    assert "failed while it read a.pt: KeyError: 'anchors'" in str(done.exception)


@pytest.mark.parametrize("how", [{}, {"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize("role", ["data", "validation"])
def test_labels_are_not_overwritten_by_the_card(role, how, recipe, tmp_path):
    labels = tmp_path / "mine.json"
    labels.write_text("labels")
    given = {"data": recipe, role: labels}
    with pytest.raises(OutputError, match=r"mine\.json is an input, but weights in .*choose"):
        train("learner", out=tmp_path / "mine.safetensors", host=isolated_host(Plugin()),
              **given, **how)  # fmt: skip
    assert labels.read_text() == "labels"


def test_what_lies_beside_the_weights_is_replaced_on_request_only(recipe, tmp_path, monkeypatch):
    out, twin = tmp_path / "x.safetensors", tmp_path / "x.onnx"
    card = WeightsCard(
        detector="learner", defect_types=("black dot",), architecture={}, threshold=0.5, data="dots"
    )
    monkeypatch.setattr(
        Learner, "learned", staticmethod(lambda: WeightFiles.save(out, card, {}, None))
    )
    twin.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"x\.onnx exists.*allow that with --overwrite"):
        train("learner", recipe, out, host=isolated_host(Plugin()))
    assert twin.read_bytes() == b"mine"
    train("learner", recipe, out, overwrite=True, host=isolated_host(Plugin()))
    assert not twin.exists()
    # Not even then what is no card.
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(OutputError, match=r"x\.json holds something else than the card"):
        train("learner", recipe, out, overwrite=True, host=isolated_host(Plugin()))


def test_a_conversion_keeps_what_lies_beside_it(tmp_path):
    card = tmp_path / "b.json"
    card.write_text("mine")
    for asked in ([], ["--overwrite"]):
        given = ["convert", "a.pt", str(tmp_path / "b.safetensors"), "--detector", "learner"]
        done = CliRunner().invoke(weights, [*given, *asked], obj=isolated_host(Plugin()))
        assert isinstance(done.exception, OutputError)
        assert "b.json holds something else than the card" in str(done.exception)
    assert card.read_text() == "mine"


def test_a_process_that_trains_along_with_another_asks_nothing(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    card = WeightsCard(
        detector="learner", defect_types=("black dot",), architecture={}, threshold=0.5, data="dots"
    )
    files = WeightFiles(tmp_path / "x", card)
    monkeypatch.setattr(Learner, "learned", staticmethod(lambda: files))
    (tmp_path / "x.json").write_text("{}")
    out = tmp_path / "x.safetensors"
    assert train("learner", recipe, out, host=isolated_host(Plugin())) is files
