"""Training of ``unetpp``: its first state, what it learns from, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("segmentation_models_pytorch")
pytest.importorskip("lightning")

from defectscope import (  # noqa: E402
    Instances,
    Runtime,
    TrainingData,
    TrainingJob,
    WeightFiles,
    WeightsCard,
)
from defectscope.core.errors import OptionError  # noqa: E402
from defectscope.core.line_masks import mask_of_line  # noqa: E402
from defectscope.core.line_metrics import score_lines  # noqa: E402
from defectscope.detectors.learning.plans import work_folder  # noqa: E402
from defectscope.detectors.unetpp.architecture import Architecture  # noqa: E402
from defectscope.detectors.unetpp.crops import true_courses  # noqa: E402
from defectscope.detectors.unetpp.detector import Unetpp  # noqa: E402
from defectscope.detectors.unetpp.module import UnetppModule  # noqa: E402
from defectscope.detectors.unetpp.network import FIRST_LOGIT, UnetppNetwork  # noqa: E402
from defectscope.detectors.unetpp.options import UnetppTrainingOptions  # noqa: E402
from defectscope.detectors.unetpp.starting import completed  # noqa: E402
from defectscope.detectors.unetpp.training import _network, has_courses  # noqa: E402
from defectscope.plugins.host import default_host  # noqa: E402


def network(**size):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UnetppNetwork(
            Architecture(
                encoder="mobilenet_v2", masks=3, decoder_channels=(16, 16, 16, 16, 8), **size
            )
        )


def test_outputs_begin_dark():
    with torch.inference_mode():
        (logits,) = network().eval()(torch.zeros(1, 1, 64, 64))
    assert float(logits.mean()) == pytest.approx(FIRST_LOGIT, abs=0.5)


@pytest.mark.parametrize("reduce", [1, 2])
def test_nothing_is_learned_on_ignored_lines(reduce):
    rng = np.random.default_rng(1)
    masks = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    masks[0, 0, 10:14, 5:60] = 1
    counted = torch.ones(1, 1, 64, 64, dtype=torch.uint8)
    counted[..., 30:50, :] = 0
    batch = {
        "pixels": torch.tensor(rng.random((1, 1, 64, 64)), dtype=torch.float32),
        "masks": masks,
        "real": torch.tensor([[True, False, False]]),
        "counted": counted,
    }
    options = UnetppTrainingOptions(masks=3, union_weight=1, empty_weight=1)
    losses = []
    for shown in (-5.0, 5.0):
        module = UnetppModule(_Fixed(reduce, shown), options, 1, 32, [])
        module.log_dict = lambda values: None
        losses.append(float(module.training_step(batch, 0)))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


class _Fixed(torch.nn.Module):
    """Shows the same in every output, in the rows that do not count."""

    def __init__(self, reduce, shown):
        super().__init__()
        self.reduce, self.shown = reduce, shown

    def reduced(self, pixels):
        logits = torch.full((1, 3, 64 // self.reduce, 64 // self.reduce), -4.0)
        logits[:, :, 30 // self.reduce : 50 // self.reduce] = self.shown
        return logits, None


def test_two_places_to_start_from_are_refused(tmp_path):
    options = UnetppTrainingOptions(encoder_weights=tmp_path / "any.safetensors")
    job = SimpleNamespace(options=options, init=tmp_path / "other.safetensors")
    with pytest.raises(OptionError, match="both say what to start from"):
        _network(job)


SIZE = {"encoder": "mobilenet_v2", "masks": 3, "decoder_channels": (8, 8, 8, 8, 8)}


class Nothing(TrainingData):
    """Data that nobody may look at."""

    title, defect_types, length = "nothing", ("dislocation",), 1

    def load(self, number):
        raise AssertionError("a frame was read")


@pytest.fixture
def job(tmp_path):
    """Return a function that makes a job from weights of an architecture, and options."""

    def make(architecture, **options):
        known = Architecture(**{**SIZE, **architecture})
        tensors = {name: v.numpy() for name, v in UnetppNetwork(known).state_dict().items()}
        card = WeightsCard(
            detector="unetpp", defect_types=("dislocation",), threshold=0.5, task="lines",
            architecture=known.model_dump(mode="json"), data="nothing",
        )  # fmt: skip
        files = WeightFiles.save(tmp_path / "init.safetensors", card, tensors, None)
        chosen = UnetppTrainingOptions(**options)
        return TrainingJob(Nothing(), tmp_path / "mine.safetensors", chosen, init=files.tensors)

    return make


@pytest.mark.parametrize("places", [False, True])
def test_what_is_left_out_is_that_of_the_weights_to_start_from(job, places):
    todo = completed(job({"tile_px": 256, "places": places}))
    assert (todo.options.crop_px, todo.options.masks) == (256, 3)
    assert _network(todo)[1].tile_px == 256


def test_the_card_gets_the_side_of_crops_that_were_learned(job):
    todo = completed(job({"tile_px": 256}, crop_px=128))
    assert _network(todo)[1] == Architecture(**SIZE, tile_px=128)


def test_crops_of_another_side_are_refused_where_outputs_have_places(job):
    with pytest.raises(OptionError, match=r"crop_px = 512 does not fit .*places in tiles of 256"):
        completed(job({"tile_px": 256, "places": True}, crop_px=512))


def test_another_number_of_masks_is_refused(job):
    with pytest.raises(OptionError, match=r"masks = 20 does not fit .*whose network has 3; leave"):
        _network(completed(job({}, masks=20)))


@pytest.mark.parametrize("init", [False, True])
def test_crops_that_the_network_cannot_halve_are_refused_before_anything_is_written(job, init):
    todo = job({"reduce": 2}, crop_px=288, **({} if init else {"reduce": 2}))
    todo = todo if init else replace(todo, init=None)
    with pytest.raises(OptionError, match="crop_px = 288 must be a multiple of 64 with reduce = 2"):
        Unetpp(None, Runtime()).before_training(todo)
    assert not work_folder(todo.out).exists()


@pytest.mark.parametrize("name", ["place_weight", "middle_weight"])
def test_weights_of_places_are_refused_where_outputs_have_none(job, name):
    for init in (None, job({}).init):
        with pytest.raises(OptionError, match=f"{name} is of outputs with places alone"):
            completed(replace(job({}, **{name: 3.0}), init=init))
    assert completed(replace(job({}, places=True, **{name: 3.0}), init=None)).options.places
    todo = job({"places": True}, **{name: 3.0})
    assert getattr(completed(todo).options, name) == 3


def test_what_is_labelled_by_masks_alone_is_learned_and_validated():
    line = np.linspace([10.0, 12.0], [60.0, 40.0], 60)
    masks = [mask_of_line(line, 5), mask_of_line(line[:, ::-1], 5)]
    truth = Instances(
        (64, 64), [mask.box for mask in masks], defect_types="line", masks=masks,
        ignore=[False, True],
    )  # fmt: skip
    types = default_host().defect_types()
    assert has_courses(truth, types)
    assert not has_courses(truth[[1]], types)
    assert not has_courses(Instances((64, 64), [(1, 1, 9, 9)], defect_types="line"), types)
    # Masks of what is known to be no line are nothing to learn.
    dots = Instances((64, 64), [m.box for m in masks], defect_types="black dot", masks=masks)
    assert not has_courses(dots, types)
    assert score_lines(true_courses(truth), [line]).score > 0.9
    assert score_lines(true_courses(truth, ignored=True), [line[:, ::-1]]).score > 0.9


def test_lines_are_taken_as_they_are_labelled_where_there_are_any():
    line = np.linspace([10.0, 12.0], [60.0, 40.0], 60)
    mask = mask_of_line(line + 9, 5)
    truth = Instances((64, 90), [mask.box], defect_types="line", masks=[mask], lines=[line])
    np.testing.assert_array_equal(true_courses(truth), [line])


class _OneLine(torch.nn.Module):
    """Shows a short line."""

    def forward(self, pixels):
        logits = torch.full((1, 3, *pixels.shape[2:]), -4.0)
        logits[:, 1, 30:34, 10:50] = 4
        return (logits,)


def test_lines_are_validated_as_they_are_found():
    truth = Instances((64, 64), [])
    options = UnetppTrainingOptions(masks=3, least_area_px=1000)
    module = UnetppModule(_OneLine(), options, 1, 32, [(np.zeros((64, 64), np.uint8), truth)])
    module.validation_step(torch.tensor(0), 0)
    (frame,) = module._found
    assert len(frame.found) == 1
