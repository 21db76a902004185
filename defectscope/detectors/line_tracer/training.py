"""Training of ``line-tracer``: from a job to weight files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from defectscope import WeightFiles
from defectscope.core.errors import FormatError, OptionError
from defectscope.detectors.learning.batches import Batches, batch_loader
from defectscope.detectors.learning.jobs import (
    begin,
    plan_of,
    refuse_other,
    saved,
    validation_frames,
)
from defectscope.detectors.learning.trainer import Settings, expect_device, fit
from defectscope.detectors.line_tracer.crops import CropMaker
from defectscope.detectors.line_tracer.module import LineModule
from defectscope.detectors.line_tracer.network import Architecture, LineNetwork, load_network

if TYPE_CHECKING:
    from defectscope import Instances, Runtime, TrainingJob
    from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions

__all__ = ["train"]

OUTPUTS = ("presence", "offsets", "ends")
SIZES = ("stem", "channels", "blocks", "head", "bins")
SCORE_LABELS = {"score": "mean of P1's score and F1 of lines", "f1": "F1 of lines"}


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network, and write its weights, ONNX twin, card and curves.

    Raises
    ------
    InputError
        No frame of the data has a labelled line.
    FormatError
        The weights to start from are of another network.
    OptionError
        An option does not fit them.
    """
    options: LineTracerTrainingOptions = job.options
    expect_device(runtime, options.devices)
    if len(job.data.defect_types) != 1:
        raise FormatError(
            f"line-tracer learns one defect type, found {', '.join(job.data.defect_types)} in "
            f"{job.data.title}; leave out the others, or give them one name"
        )
    torch.manual_seed(job.seed)
    network, architecture = _network(job)
    steps = job.steps or options.steps
    frames = validation_frames(job, options.validation_frames, _has_lines)
    plan = plan_of(job, "line-tracer", steps, architecture)
    first = begin(job, network, plan, steps)
    module = LineModule(network, options, steps, architecture.multiple_px, frames)

    def loader(rank: int, ranks: int) -> DataLoader[Any]:
        made = Batches(
            job.data, CropMaker(options), options.frames_per_step, first, job.seed, rank, ranks
        )
        return batch_loader(made, job.workers)

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
        threshold_from="best mean of P1's score and F1 of lines",
        scores={"mean_of_score_and_f1": round(fitted.score, 4), "line_f1": round(fitted.f1, 4)},
        score_labels=SCORE_LABELS,
        task="lines",
    )


def _has_lines(truth: Instances) -> bool:
    if truth.lines is None:
        return False
    return any(len(truth.lines[k]) > 1 for k in range(len(truth)) if not truth.ignore[k])


def _network(job: TrainingJob) -> tuple[LineNetwork, Architecture]:
    options: LineTracerTrainingOptions = job.options
    if job.init is None:
        if options.freeze != "none":
            raise OptionError(
                f"freeze = {options.freeze!r} keeps the weights of --init; name some, or leave it "
                "out"
            )
        architecture = Architecture(**{name: getattr(options, name) for name in SIZES})
        return LineNetwork(architecture), architecture
    network, architecture = load_network(WeightFiles.open(job.init, "line-tracer"))
    refuse_other(job, SIZES, architecture)
    if options.bins != architecture.bins:
        raise OptionError(
            f"bins = {options.bins} does not fit {job.init}, which has {architecture.bins}; set "
            f"line-tracer.bins={architecture.bins}"
        )
    return network, architecture
