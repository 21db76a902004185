"""Training of ``heatmap``: from a job to weight files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from defectscope import WeightFiles
from defectscope.core.errors import FormatError, OptionError
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.module import HeatmapModule
from defectscope.detectors.heatmap.network import Architecture, HeatmapNetwork, load_network
from defectscope.detectors.learning.batches import Batches, batch_loader
from defectscope.detectors.learning.jobs import (
    begin,
    plan_of,
    refuse_other,
    saved,
    validation_frames,
)
from defectscope.detectors.learning.trainer import Settings, expect_device, fit

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["train"]

OUTPUTS = ("centres", "sides")
SCORE_LABELS = {"score": "mean F1 at IoU 0.15 and 0.4", "f1": "F1 at IoU 0.15"}


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
    frames = validation_frames(
        job, options.validation_frames, lambda truth: bool((~truth.ignore).any())
    )
    plan = plan_of(job, "heatmap", steps, architecture)
    first = begin(job, network, plan, steps)
    module = HeatmapModule(
        network, options, steps, job.data.defect_types, architecture.multiple_px, frames
    )

    def loader(rank: int, ranks: int) -> DataLoader[Any]:
        crops = CropMaker(options, job.data.defect_types)
        batches = Batches(job.data, crops, options.frames_per_step, first, job.seed, rank, ranks)
        return batch_loader(batches, job.workers)

    fitted = fit(
        module,
        loader,
        DataLoader(range(len(frames)), batch_size=None),  # type: ignore[arg-type]
        job,
        Settings.of(options, steps),
        runtime,
    )
    return saved(
        job,
        network,
        fitted,
        plan,
        side_px=4 * architecture.multiple_px,
        outputs=OUTPUTS,
        threshold_from="best mean F1 at IoU 0.15 and 0.4",
        scores={"f1_iou_0.15": round(fitted.f1, 4), "mean_f1": round(fitted.score, 4)},
        score_labels=SCORE_LABELS,
    )


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
    refuse_other(job, ("channels", "blocks"), architecture)
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
