"""The checks of training: a detector that keeps its promises passes, one that breaks any fails."""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np
import pytest
from pydantic import Field

import defectscope as ds
from defectscope.plugins.conformance import Setup, check_class, checks_of
from defectscope.plugins.testing import DetectorConformance

CHECKS = ("training_options", "training_leaves_weights", "training_repeats")


class WeightsOptions(ds.Options):
    """Options of detection."""

    weights: str | None = Field(None, description="a .safetensors path")


class Good(ds.TrainableDetector):
    """Learns the mean side of the boxes, and finds one such box."""

    Options = WeightsOptions
    quick_training: ClassVar = {}
    learns = "dislocation-loop"

    @property
    def defect_types(self):
        return self.files.card.defect_types

    @property
    def files(self):
        if self.options.weights is None:
            raise ds.OptionError("weights are needed")
        return ds.WeightFiles.open(ds.find_weights(self.options.weights, {}), "good")

    def detect(self, frames):
        side = float(ds.read_tensors(self.files.checked(".safetensors"))["side"])
        return [
            ds.Instances(f.shape, [[0, 0, side, side]], defect_types=self.defect_types[:1])
            for f in frames
        ]

    def train(self, job):
        if job.data.defect_types != (self.learns,):
            raise ds.OptionError(f"no {self.learns} to learn from")
        with job.data as data:
            boxes = np.concatenate([data.load(k)[1].boxes for k in range(data.length)])
        side = np.float32((boxes[:, 2:] - boxes[:, :2]).min()) + self.noise()
        return self.save(job, {"side": np.array(min(side, 8.0), np.float32)})

    def noise(self):
        return 0.0

    def save(self, job, tensors):
        card = ds.WeightsCard(
            detector="good", defect_types=job.data.defect_types, architecture={}, threshold=0.5,
            data=job.data.title,
        )  # fmt: skip
        return ds.WeightFiles.save(job.out, card, tensors, None)


class LearnsLines(Good):
    learns = "dislocation"

    def train(self, job):
        if job.data.defect_types == (self.learns,):
            _, truth = job.data.load(0)
            assert truth.lines is not None
            assert all(len(line) == 2 for line in truth.lines)
        return super().train(job)


class LearnsNothing(Good):
    learns = "cavity"


class Silent(Good):
    class TrainingOptions(ds.Options):
        rate: float = 0.1


class Demanding(Good):
    class TrainingOptions(ds.Options):
        rate: float = Field(description="learning rate")

    quick_training: ClassVar = {"rate": 0.1}


class Odd(Good):
    TrainingOptions = dict


class ReturnsNothing(Good):
    def train(self, job):
        super().train(job)


class WritesElsewhere(Good):
    def save(self, job, tensors):
        files = super().save(job, tensors)
        return ds.WeightFiles(files.stem.with_name("other"), files.card)


class OtherCard(Good):
    def save(self, job, tensors):
        files = super().save(job, tensors)
        return ds.WeightFiles(files.stem, files.card.model_copy(update={"threshold": 0.9}))


class Moody(Good):
    def noise(self):
        return np.random.default_rng().random() / 8


class OtherTypes(Good):
    defect_types = ("dislocation",)


class Blind(Good):
    def detect(self, frames):
        raise RuntimeError("no idea")


def results(component, **options):
    found = {r.name: r for r in check_class("detectors", component, Setup(options))}
    return {name: found[name] for name in CHECKS if name in found}


class TestConformance(DetectorConformance):
    component = Good

    @pytest.fixture(autouse=True)
    def _weights(self, tmp_path):
        card = ds.WeightsCard(
            detector="good", defect_types=("dislocation-loop",), architecture={}, threshold=0.5,
            data="none",
        )  # fmt: skip
        path = tmp_path / "a.safetensors"
        ds.WeightFiles.save(path, card, {"side": np.array(5, np.float32)}, None)
        self.options = {"weights": str(path)}


@pytest.mark.parametrize("component", [Good, LearnsLines])
def test_a_good_one_passes(component):
    assert {r.status for r in results(component).values()} == {"passed"}


def test_checks_that_need_weights_say_where_to_get_some():
    found = check_class("detectors", Good, Setup())
    (said,) = {result.message for result in found if result.status == "skipped"}
    assert said == (
        "not checked: weights are needed; to check it with weights, train some, and pass "
        "--set NAME.weights=FILE"
    )


BROKEN = {
    "training_options": {
        Silent: "every option of training needs a description.*: rate",
        Demanding: "every option of training needs a default.*: rate",
        Odd: "TrainingOptions must be a subclass",
    },
    "training_leaves_weights": {
        LearnsNothing: "learns neither from loops nor from lines .*no cavity to learn from",
        ReturnsNothing: "must return the WeightFiles that it saved, found a NoneType",
        WritesElsewhere: r"must write job\.out \(first\.safetensors\), found other",
        OtherCard: "the card on the disk must be the one that train returns",
        OtherTypes: "must declare the types of their card, dislocation-loop; found dislocation",
        Blind: "RuntimeError: no idea",
    },
    "training_repeats": {Moody: "options and seed must give the same weights"},
}


@pytest.mark.parametrize(
    ("check", "component"),
    [(check, component) for check, broken in BROKEN.items() for component in broken],
)
def test_one_that_breaks_a_promise_fails(check, component):
    result = results(component)[check]
    assert result.status == "failed"
    assert re.search(BROKEN[check][component], result.message)


@pytest.mark.parametrize(
    ("registered", "own", "message"),
    [
        ("good", None, ""),
        ("mine", "good", ""),
        (None, "good", ""),
        ("mine", None, "must name the detector 'mine', as it is registered; found 'good'"),
        ("mine", "ours", "must name the detector 'mine' or 'ours', as it is registered; found"),
    ],
)
def test_the_card_names_the_detector_as_train_wants_it(registered, own, message):
    component = type("Named", (Good,), {} if own is None else {"name": own})
    spec = None if registered is None else ds.ComponentSpec(registered, "Learns.", "a:B")
    setup = Setup(spec=spec)
    found = {r.name: r for r in check_class("detectors", component, setup)}
    result = found["training_leaves_weights"]
    assert (result.status == "failed") == bool(message)
    assert message in result.message


def test_only_options_are_looked_at_where_training_may_take_long():
    class Slow(Good):
        quick_training = None

    assert {name: r.status for name, r in results(Slow).items()} == {"training_options": "passed"}


def test_other_detectors_have_no_such_checks():
    names = {check.__name__ for check in checks_of("detectors")}
    assert not names & {f"check_{name}" for name in CHECKS}
