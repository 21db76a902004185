"""Training of ``heatmap``: from a job to weight files."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch.utils.data import DataLoader

from defectscope import WeightFiles, WeightsCard
from defectscope.core.errors import FormatError, InputError, OptionError
from defectscope.core.provenance import file_digest
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.module import HeatmapModule
from defectscope.detectors.heatmap.network import Architecture, HeatmapNetwork, load_network
from defectscope.detectors.learning.batches import Batches, batch_loader
from defectscope.detectors.learning.curves import draw_curves
from defectscope.detectors.learning.export import onnx_bytes
from defectscope.detectors.learning.trainer import (
    Fitted,
    Settings,
    expect_device,
    first_step,
    fit,
    work_folder,
)

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingData, TrainingJob
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["train"]

# Generated validation frames have numbers that training never reaches.
VALIDATION_FROM = 2**31
OUTPUTS = ("centres", "sides")


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network, and write its weights, ONNX twin, card and curves.

    Raises
    ------
    InputError
        No frame of the data has a labelled defect.
    FormatError
        The weights to start from are of another network.
    OptionError
        An option does not fit them.
    """
    options: HeatmapTrainingOptions = job.options
    expect_device(runtime, options.devices)
    torch.manual_seed(job.seed)
    network, architecture = _network(job)
    steps = job.steps or options.steps
    frames = _validation_frames(job, options.validation_frames)
    begin = first_step(job, _plan(job, steps, architecture))
    if begin < steps or not (work_folder(job.out) / "best.ckpt").is_file():
        job.say(_announcement(job, network, steps, begin))
    module = HeatmapModule(
        network, options, steps, job.data.defect_types, architecture.multiple_px, frames
    )

    def loader(rank: int, ranks: int) -> DataLoader[Any]:
        crops = CropMaker(options, job.data.defect_types)
        batches = Batches(job.data, crops, options.frames_per_step, begin, job.seed, rank, ranks)
        return batch_loader(batches, job.workers)

    fitted = fit(
        module,
        loader,
        DataLoader(range(len(frames)), batch_size=None),  # type: ignore[arg-type]
        job,
        Settings(
            steps, options.validate_every, options.average, options.patience, options.precision,
            options.devices, options.max_minutes,
        ),
        runtime,
    )  # fmt: skip
    return _written(job, network, architecture, fitted, steps)


def _network(job: TrainingJob) -> tuple[HeatmapNetwork, Architecture]:
    options: HeatmapTrainingOptions = job.options
    classes = len(job.data.defect_types)
    if job.init is None:
        architecture = Architecture(
            channels=options.channels, blocks=options.blocks, classes=classes
        )
        if options.freeze != "none":
            raise OptionError(
                f"freeze = {options.freeze!r} keeps the weights of --init; name some, or leave it "
                "out"
            )
        return HeatmapNetwork(architecture), architecture
    files = WeightFiles.open(job.init, "heatmap")
    network, architecture = load_network(files)
    for name in options.model_fields_set & {"channels", "blocks"}:
        if getattr(options, name) != getattr(architecture, name):
            raise OptionError(
                f"{name} = {getattr(options, name)} does not fit {job.init}, whose network has "
                f"{getattr(architecture, name)}; leave it out, or leave out --init"
            )
    before, now = files.card.defect_types, job.data.defect_types
    if architecture.classes != classes:
        raise FormatError(
            f"{job.init} knows {architecture.classes} defect types ({', '.join(before)}), the data "
            f"has {classes} ({', '.join(now)}); start from weights with as many, or leave out "
            "--init"
        )
    if set(before) == set(now):
        network.reorder([before.index(name) for name in now])
    else:
        job.say(f"what {job.init} knows as {', '.join(before)} is learned as {', '.join(now)}")
    return network, architecture


def _validation_frames(job: TrainingJob, most: int) -> list[tuple[Any, Any]]:
    data: TrainingData = job.validation or job.data
    first = VALIDATION_FROM if data.length is None else 0
    count = most if data.length is None else min(most, data.length)
    frames = []
    with data:
        for number in range(first, first + count):
            frames.append(data.load(number))
            job.progress("validation frames", len(frames), count)
    if not any((~truth.ignore).any() for _, truth in frames):
        raise InputError(
            f"{data.title} has no labelled defect in its first {count} frames; there is nothing "
            "to learn from or to choose a threshold on"
        )
    return frames


def _plan(job: TrainingJob, steps: int, architecture: Architecture) -> dict[str, Any]:
    return {
        "detector": "heatmap",
        "steps": steps,
        "seed": job.seed,
        "options": job.options.model_dump(mode="json"),
        "architecture": architecture.model_dump(mode="json"),
        "defect_types": list(job.data.defect_types),
        "data": job.data.recipe(),
        "validation": None if job.validation is None else job.validation.recipe(),
        "init": None if job.init is None else f"{job.init.name} {file_digest(job.init)}",
    }


def _announcement(job: TrainingJob, network: HeatmapNetwork, steps: int, begin: int) -> str:
    size = sum(p.numel() for p in network.parameters()) / 1e6
    text = f"{size:.2f} million parameters, {steps} steps on {job.data.title}"
    return f"{text}, from step {begin} on" if begin else text


def _written(
    job: TrainingJob,
    network: HeatmapNetwork,
    architecture: Architecture,
    fitted: Fitted,
    steps: int,
) -> WeightFiles:
    state = {
        name.removeprefix("network."): value.detach().cpu()
        for name, value in fitted.state.items()
        if name.startswith("network.")
    }
    network.load_state_dict(state)
    network.cpu().to(memory_format=torch.contiguous_format)
    side = 4 * architecture.multiple_px
    twin = onnx_bytes(network, torch.zeros(1, 1, side, side), OUTPUTS)
    card = _card(job, architecture, fitted, steps)
    arrays = {name: value.contiguous().numpy() for name, value in network.state_dict().items()}
    files = WeightFiles.save(job.out, card, arrays, twin)
    curve = Path(work_folder(job.out)) / "curve.csv"
    if curve.is_file():
        draw_curves(pd.read_csv(curve), job.out.with_name(f"{job.out.stem}-curves.png"), card.title)
    return files


def _card(job: TrainingJob, architecture: Architecture, fitted: Fitted, steps: int) -> WeightsCard:
    chosen_on = (job.validation or job.data).title
    packages = ("defectscope", "numpy", "torch", "lightning", "opencv-python-headless")
    return WeightsCard(
        detector="heatmap",
        title=job.title or f"heatmap trained on {job.data.title}",
        defect_types=job.data.defect_types,
        architecture=architecture.model_dump(mode="json"),
        threshold=round(fitted.threshold, 4),
        threshold_from=f"best mean F1 at IoU 0.15 and 0.4 on {chosen_on}",
        data=job.data.title,
        recipe={**_plan(job, steps, architecture), "best_step": fitted.step},
        scores={"validation": {"on": chosen_on, "f1_iou_0.15": round(fitted.f1, 4),
                               "mean_f1": round(fitted.score, 4)}},
        versions={"python": platform.python_version()} | {n: version(n) for n in packages},
    )  # fmt: skip
