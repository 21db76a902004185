"""From a job to weight files: what the training of every learned detector does alike."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from defectscope import WeightFiles, WeightsCard
from defectscope.core.errors import InputError, OptionError
from defectscope.core.provenance import file_digest
from defectscope.detectors.learning.curves import draw_curves
from defectscope.detectors.learning.export import onnx_bytes
from defectscope.detectors.learning.trainer import Fitted, first_step, work_folder

if TYPE_CHECKING:
    from pydantic import BaseModel
    from torch import nn

    from defectscope import Instances, TrainingData, TrainingJob

__all__ = ["begin", "plan_of", "refuse_other", "saved", "validation_frames"]

# Generated validation frames have numbers that training never reaches.
VALIDATION_FROM = 2**31
PACKAGES = ("defectscope", "numpy", "torch", "lightning", "opencv-python-headless")


def validation_frames(
    job: TrainingJob, most: int, usable: Callable[[Instances], bool]
) -> list[tuple[Any, Instances]]:
    """Return pixels and truth of the frames that the best state is chosen on.

    Parameters
    ----------
    job
        Without validation data, it is done on other frames of the recipe, or on the dataset.
    most
        Number of frames at most.
    usable
        Whether there is something to learn in a truth.

    Raises
    ------
    InputError
        No frame is usable.
    """
    data: TrainingData = job.validation or job.data
    first = VALIDATION_FROM if data.length is None else 0
    count = most if data.length is None else min(most, data.length)
    frames = []
    with data:
        for number in range(first, first + count):
            frames.append(data.load(number))
            job.progress("validation frames", len(frames), count)
    if not any(usable(truth) for _, truth in frames):
        raise InputError(
            f"{data.title} has no labelled defect in its first {count} frames; there is nothing "
            "to learn from or to choose a threshold on"
        )
    return frames


def plan_of(job: TrainingJob, detector: str, steps: int, architecture: BaseModel) -> dict[str, Any]:
    """Return plain values that decide about the result."""
    return {
        "detector": detector,
        "steps": steps,
        "seed": job.seed,
        "options": job.options.model_dump(mode="json"),
        "architecture": architecture.model_dump(mode="json"),
        "defect_types": list(job.data.defect_types),
        "data": job.data.recipe(),
        "validation": None if job.validation is None else job.validation.recipe(),
        "init": None if job.init is None else f"{job.init.name} {file_digest(job.init)}",
    }


def begin(job: TrainingJob, network: nn.Module, plan: dict[str, Any], steps: int) -> int:
    """Prepare the working folder, say what is about to happen, and return the first step."""
    first = first_step(job, plan)
    if first < steps or not (work_folder(job.out) / "best.ckpt").is_file():
        size = sum(p.numel() for p in network.parameters()) / 1e6
        text = f"{size:.2f} million parameters, {steps} steps on {job.data.title}"
        job.say(f"{text}, from step {first} on" if first else text)
    return first


def refuse_other(job: TrainingJob, names: Sequence[str], architecture: BaseModel) -> None:
    """Refuse options of the network that do not fit the weights to start from.

    Raises
    ------
    OptionError
        Names the first one.
    """
    for name in job.options.model_fields_set & set(names):
        if getattr(job.options, name) != getattr(architecture, name):
            raise OptionError(
                f"{name} = {getattr(job.options, name)} does not fit {job.init}, whose network has "
                f"{getattr(architecture, name)}; leave it out, or leave out --init"
            )


def saved(
    job: TrainingJob,
    network: nn.Module,
    fitted: Fitted,
    plan: dict[str, Any],
    *,
    side_px: int,
    outputs: Sequence[str],
    threshold_from: str,
    scores: dict[str, Any],
    score_labels: dict[str, str],
    task: str = "detection",
) -> WeightFiles:
    """Write weights, ONNX twin, card and curves.

    Parameters
    ----------
    job, network, fitted, plan
        The training, its network, the best state, and what decided about it.
    side_px
        Side of an input that the network takes.
    outputs
        Names of its outputs.
    threshold_from
        How the threshold was chosen; "on ..." is added.
    scores
        What validation gave.
    score_labels
        Labels of the columns ``score`` and ``f1`` of the curves.
    task
        For the card.
    """
    state = {
        name.removeprefix("network."): value.detach().cpu()
        for name, value in fitted.state.items()
        if name.startswith("network.")
    }
    network.load_state_dict(state)
    network.cpu().to(memory_format=torch.contiguous_format)
    twin = onnx_bytes(network, torch.zeros(1, 1, side_px, side_px), outputs)
    chosen_on = (job.validation or job.data).title
    detector = plan["detector"]
    card = WeightsCard(
        detector=detector,
        title=job.title or f"{detector} trained on {job.data.title}",
        task=task,
        defect_types=job.data.defect_types,
        architecture=plan["architecture"],
        threshold=round(fitted.threshold, 4),
        threshold_from=f"{threshold_from} on {chosen_on}",
        data=job.data.title,
        recipe={**plan, "best_step": fitted.step},
        scores={"validation": {"on": chosen_on, **scores}},
        versions={"python": platform.python_version()} | {n: version(n) for n in PACKAGES},
    )
    arrays = {name: value.contiguous().numpy() for name, value in network.state_dict().items()}
    files = WeightFiles.save(job.out, card, arrays, twin)
    curve = work_folder(job.out) / "curve.csv"
    if curve.is_file():
        picture = job.out.with_name(f"{job.out.stem}-curves.png")
        draw_curves(pd.read_csv(curve), picture, card.title, score_labels)
    return files
