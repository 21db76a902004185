"""Training of ``unetpp``: from a job to weight files."""

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
from defectscope.detectors.unetpp.crops import CropMaker
from defectscope.detectors.unetpp.module import UnetppModule
from defectscope.detectors.unetpp.network import (
    Architecture,
    UnetppNetwork,
    load_encoder,
    load_network,
)

if TYPE_CHECKING:
    from defectscope import Instances, Runtime, TrainingJob
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["train"]

OUTPUTS = ("masks",)
SCORE_LABELS = {"score": "P1's score of lines", "f1": "F1 of lines"}


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network, and write its weights, ONNX twin, card and curves.

    Raises
    ------
    InputError
        No frame of the data has a labelled line.
    FormatError
        The weights to start from are of another network, or there is more than one defect type.
    OptionError
        An option does not fit them.
    """
    options: UnetppTrainingOptions = job.options
    expect_device(runtime, options.devices)
    if len(job.data.defect_types) != 1:
        raise FormatError(
            f"unetpp learns one defect type, found {', '.join(job.data.defect_types)} in "
            f"{job.data.title}; leave out the others, or give them one name"
        )
    torch.manual_seed(job.seed)
    network, architecture = _network(job)
    steps = job.steps or options.steps
    frames = validation_frames(job, options.validation_frames, _has_lines)
    plan = plan_of(job, "unetpp", steps, architecture)
    first = begin(job, network, plan, steps)
    most = max(int((~truth.ignore).sum()) for _, truth in frames)
    if most > options.masks:
        job.say(
            f"warning: {job.data.title} has up to {most} lines a frame, and masks = "
            f"{options.masks}: of more lines in a crop, the largest are learned"
        )
    module = UnetppModule(network, options, steps, architecture.multiple_px, frames)

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
        side_px=2 * architecture.multiple_px,
        outputs=OUTPUTS,
        threshold_from="best sum of P1's score and F1 of lines",
        scores={"line_score": round(fitted.score, 4), "line_f1": round(fitted.f1, 4)},
        score_labels=SCORE_LABELS,
        task="lines",
    )


def _has_lines(truth: Instances) -> bool:
    if truth.lines is None:
        return False
    return any(len(truth.lines[k]) > 1 for k in range(len(truth)) if not truth.ignore[k])


def _network(job: TrainingJob) -> tuple[UnetppNetwork, Architecture]:
    options: UnetppTrainingOptions = job.options
    if job.init is not None:
        network, architecture = load_network(WeightFiles.open(job.init, "unetpp"))
        refuse_other(job, ("encoder", "masks"), architecture)
        if options.masks != architecture.masks:
            raise OptionError(
                f"masks = {options.masks} does not fit {job.init}, which has "
                f"{architecture.masks}; set unetpp.masks={architecture.masks}"
            )
        return network, architecture
    known = ("none",) if options.encoder_weights is None else ("none", "encoder")
    if options.freeze not in known:
        raise OptionError(
            f"freeze = {options.freeze!r} keeps weights that are there already; name some with "
            "--init (or encoder_weights, for the encoder), or leave it out"
        )
    architecture = Architecture(encoder=options.encoder, masks=options.masks)
    network = UnetppNetwork(architecture)
    if options.encoder_weights is not None:
        load_encoder(network, options.encoder_weights)
    return network, architecture
