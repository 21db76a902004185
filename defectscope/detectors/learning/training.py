"""From a job to weight files: what the training of every learned detector does alike."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from defectscope import WeightFiles, WeightsCard
from defectscope.core.training import is_follower
from defectscope.detectors.learning.batches import Batches, batch_loader
from defectscope.detectors.learning.curves import draw_curves
from defectscope.detectors.learning.devices import expect_device, slow_arithmetic
from defectscope.detectors.learning.export import onnx_bytes
from defectscope.detectors.learning.jobs import begin
from defectscope.detectors.learning.plans import plan_of, work_folder
from defectscope.detectors.learning.trainer import Fitted, Settings, fit
from defectscope.detectors.learning.validating import (
    chosen_on,
    expect_others,
    validation_frames,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from defectscope import Instances, Runtime, TrainingJob
    from defectscope.detectors.learning.batches import MakeBatch
    from defectscope.detectors.learning.module import LearningModule
    from defectscope.detectors.learning.options import LearningOptions

__all__ = ["Facts", "trained"]

PACKAGES = ("defectscope", "numpy", "torch", "lightning", "opencv-python-headless")


@dataclass(frozen=True)
class Facts:
    """What the card and the curves say of one detector's training.

    Parameters
    ----------
    outputs
        Names of the network's outputs.
    threshold_from
        How the threshold was chosen; "on ..." is added.
    scores
        What validation gave, by name, from the best state.
    score_labels
        Labels of the columns ``score`` and ``f1`` of the curves.
    task
        For the card.
    example_side
        Side of the input that the export is traced with, in multiples of what the network takes.
    axes
        Free axes of input and outputs, where outputs are no images.
    packages
        Further distributions whose versions the card names.
    twin
        Whether there is an ONNX twin.
    licence
        Of weights that are trained from nothing, by its SPDX id.
    """

    outputs: Sequence[str]
    threshold_from: str
    scores: Callable[[Fitted], dict[str, float]]
    score_labels: dict[str, str]
    task: str = "detection"
    example_side: int = 4
    axes: Mapping[str, Mapping[int, str]] | None = None
    packages: Sequence[str] = ()
    twin: bool = True
    licence: str = "MIT"


def trained(
    job: TrainingJob,
    runtime: Runtime,
    detector: str,
    build: Callable[[TrainingJob], tuple[nn.Module, Any]],
    module: Callable[..., LearningModule],
    crops: MakeBatch,
    usable: Callable[[Instances], bool],
    facts: Facts,
) -> WeightFiles:
    """Train a network, and write its weights, ONNX twin, card and curves.

    Parameters
    ----------
    job, runtime
        What was asked for, and where.
    detector
        Its name.
    build
        Returns the network to train and its architecture, after the seed was set.
    module
        Takes what :class:`LearningModule` takes.
    crops
        Makes a batch of frames.
    usable
        Whether there is something to learn in a truth.
    facts
        For card and curves.

    Raises
    ------
    InputError
        No frame of the data is usable.
    FormatError
        The weights to start from are of another network.
    OptionError
        An option does not fit them.
    """
    options: LearningOptions = job.options
    expect_device(runtime, options.devices, options.precision)
    slow = slow_arithmetic(runtime, options.precision)
    if slow is not None:
        job.say(f"warning: {slow}")
    torch.manual_seed(job.seed)
    network, architecture = build(job)
    steps = job.steps or options.steps
    frames = validation_frames(job, options.validation_frames, usable)
    plan = plan_of(job, detector, steps, architecture)
    first = begin(job, network, plan, steps)
    expect_others(job)
    # Nothing of the weights to start from is read once hours of training are to be kept.
    facts = replace(facts, licence=_licence(job, facts))

    def loader(rank: int, ranks: int) -> DataLoader[Any]:
        made = Batches(job.data, crops, options.frames_per_step, first, job.seed, rank, ranks)
        return batch_loader(made, job.workers)

    fitted = fit(
        module(network, options, steps, architecture.multiple_px, frames),
        loader,
        DataLoader(range(len(frames)), batch_size=None),  # type: ignore[arg-type]
        job,
        Settings.of(options, steps),
        runtime,
    )
    if not fitted.f1:
        job.say(
            f"warning: after {fitted.step} steps nothing is found that is labelled in "
            f"{chosen_on(job)[1]}, F1 is 0 at every threshold: the weights are of no use yet; "
            "train longer (--steps), or check the labels"
        )
    side_px = facts.example_side * architecture.multiple_px
    # Most networks take grey alone, and their architecture says nothing of it.
    shape = (1, getattr(architecture, "channels_in", 1), side_px, side_px)
    return _saved(job, runtime, network, fitted, plan, torch.zeros(shape), facts)


def _saved(
    job: TrainingJob,
    runtime: Runtime,
    network: nn.Module,
    fitted: Fitted,
    plan: dict[str, Any],
    example: torch.Tensor,
    facts: Facts,
) -> WeightFiles:
    arrays, twin = _arrays_and_twin(network, fitted, example, facts, job.options.weight_bits)
    card = _card(job, runtime, fitted, plan, facts)
    if is_follower():
        return WeightFiles(job.out.with_suffix(""), card)
    files = WeightFiles.save(job.out, card, arrays, twin)
    curve = work_folder(job.out) / "curve.csv"
    if curve.is_file():
        picture = job.out.with_name(f"{job.out.stem}-curves.png")
        draw_curves(pd.read_csv(curve), picture, card.title, facts.score_labels)
    return files


def _arrays_and_twin(
    network: nn.Module,
    fitted: Fitted,
    example: torch.Tensor,
    facts: Facts,
    weight_bits: Literal[16, 32],
) -> tuple[dict[str, NDArray[Any]], bytes | None]:
    """Return the best state as it is stored, and the ONNX twin of that."""
    state = {
        name.removeprefix("network."): value.detach().cpu()
        for name, value in fitted.state.items()
        if name.startswith("network.")
    }
    network.load_state_dict(state)
    network.cpu().to(memory_format=torch.contiguous_format)
    arrays = {name: value.contiguous().numpy() for name, value in network.state_dict().items()}
    if weight_bits == 16:
        arrays = {name: a.astype(np.float16) if a.ndim == 4 else a for name, a in arrays.items()}
        # The twin is that of the file, to the last bit.
        network.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    if not facts.twin:
        return arrays, None
    return arrays, onnx_bytes(network, example, facts.outputs, facts.axes, weight_bits)


def _licence(job: TrainingJob, facts: Facts) -> str:
    """Return the licence of new weights: what they were trained from keeps its own."""
    begun_with = [] if job.init is None else WeightFiles.open(job.init).card.licence.split(" AND ")
    return " AND ".join(dict.fromkeys([*facts.licence.split(" AND "), *begun_with]))


def _card(
    job: TrainingJob, runtime: Runtime, fitted: Fitted, plan: dict[str, Any], facts: Facts
) -> WeightsCard:
    kind, where = chosen_on(job)
    detector = plan["detector"]
    packages = (*PACKAGES, *facts.packages)
    return WeightsCard(
        detector=detector,
        title=job.title or f"{detector} trained on {job.data.title}",
        task=facts.task,
        defect_types=job.data.defect_types,
        architecture=plan["architecture"],
        threshold=round(fitted.threshold, 4),
        threshold_from=f"{facts.threshold_from} on {where}"
        if fitted.f1
        else f"nothing: F1 is 0 at every threshold on {where}",
        data=job.data.title,
        recipe={**plan, "best_step": fitted.step, "threads": runtime.threads},
        scores={kind: {"on": where, **facts.scores(fitted), **fitted.detection}},
        licence=facts.licence,
        versions={"python": platform.python_version()} | {n: version(n) for n in packages},
    )
