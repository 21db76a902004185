"""Batches depend on their number and on nothing else."""

from __future__ import annotations

import os
import signal
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope import Instances, TrainingData
from defectscope.core.errors import FormatError

torch = pytest.importorskip("torch")

from defectscope.detectors.heatmap.architecture import Architecture  # noqa: E402
from defectscope.detectors.heatmap.crops import CropMaker  # noqa: E402
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions  # noqa: E402
from defectscope.detectors.learning.batches import (  # noqa: E402
    GRACE_S,
    Batches,
    _end_soon,
    batch_loader,
    frame_numbers,
)
from defectscope.pipeline.recipes import Recipe, RecipeData  # noqa: E402

RECIPE = {
    "title": "dots",
    "defect_types": ["dislocation-loop"],
    "source": [
        {"background": "texture", "generators": ["in-situ-loops"], "size": [80, 72],
         "options": {"in-situ-loops": {"count": 3}}},
    ],
}  # fmt: skip
OPTIONS = HeatmapTrainingOptions(crop_px=64, crops_per_frame=2, scale_high=1.3)


def batches(first=0, data=None, **more):
    data = data or RecipeData(Recipe.model_validate(RECIPE))
    make = CropMaker(OPTIONS, ("dislocation-loop",), Architecture())
    return Batches(data, make, 2, first, 5, **more)


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert torch.equal(a[name], b[name])


@pytest.fixture(scope="module")
def five():
    """The first five batches."""
    return list(islice(batches(), 5))


def test_a_batch_holds_crops_and_their_targets(five):
    shapes = {name: tuple(value.shape) for name, value in five[0].items()}
    assert shapes == {
        "pixels": (4, 1, 64, 64), "centres": (4, 1, 32, 32), "sides": (4, 4, 32, 32),
        "weights": (4, 32, 32), "counted": (4, 32, 32),
    }  # fmt: skip
    assert all(value.dtype == torch.float32 for value in five[0].values())
    assert any((batch["centres"] == 1).any() for batch in five)
    assert not torch.equal(five[0]["pixels"], five[1]["pixels"])


# A busy machine may kill the workers before they have said that they end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("count", [0, 1, 2])
def test_workers_change_no_batch_and_signals_end_none(five, count):
    before = signal.getsignal(signal.SIGINT)
    iterator = iter(batch_loader(batches(), count))
    # One of each worker: before that it may not have got so far.
    first = list(islice(iterator, max(count, 1)))
    workers = getattr(iterator.gi_frame.f_locals["batches"], "_workers", [])
    assert len(workers) == count
    # As of a terminal, and of a batch system.
    for worker in workers:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            os.kill(worker.pid, getattr(signal, name, signal.SIGINT))
    same([*first, *islice(iterator, 5 - len(first))], five)
    assert all(worker.is_alive() for worker in workers)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="signals are those of POSIX")
def test_a_worker_that_is_told_to_end_does_so_before_long(monkeypatch):
    kept = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGALRM)}
    told = []
    monkeypatch.setattr(signal, "alarm", told.append)
    try:
        _end_soon(signal.SIGTERM)
        assert {signal.getsignal(number) for number in kept} == {signal.SIG_DFL}
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert told == [GRACE_S]


def test_gone_on_with_it_is_as_if_it_had_not_stopped(five):
    same(list(islice(batches(first=3), 2)), five[3:])


def test_several_gpus_share_the_batches(five):
    first, second = (list(islice(batches(rank=r, ranks=2), 2)) for r in (0, 1))
    same([first[0], second[0], first[1], second[1]], five[:4])


@settings(max_examples=60)
@given(length=st.integers(1, 40), count=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_pass_goes_through_each_frame_once(length, count, seed):
    steps = -(-3 * length // count)
    numbers = [n for step in range(steps) for n in frame_numbers(step, count, length, seed)]
    passes = [numbers[k * length : (k + 1) * length] for k in range(3)]
    for one in passes:
        assert sorted(one) == list(range(length))
    if length > 8:
        assert passes[0] != passes[1]


def test_endless_frames_never_come_twice():
    numbers = [n for step in range(50) for n in frame_numbers(step, 3, None, 0)]
    assert numbers == list(range(150))


class Damaged(TrainingData):
    """Has a frame that cannot be read."""

    title, defect_types = "damaged", ("dislocation-loop",)

    @property
    def length(self):
        return 4

    def load(self, number):
        if number == 3:
            raise FormatError("frame3.png is truncated")
        return np.zeros((70, 70), np.uint8), Instances.empty((70, 70))


class TestErrors:
    def test_in_this_process(self):
        with pytest.raises(FormatError, match=r"^frame3\.png is truncated$"):
            list(islice(batch_loader(batches(data=Damaged()), 0), 3))

    def test_of_a_worker_have_no_traceback_in_their_message(self):
        # As the worker hands it on, for classes of a test cannot be imported there.
        handed = []
        loader = batch_loader(batches(), 0)
        checked = loader._checked(iter([{"pixels": 1}, {"error": FormatError("frame3 is bad")}]))
        with pytest.raises(FormatError, match=r"^frame3 is bad$"):
            handed.extend(checked)
        assert handed == [{"pixels": 1}]
