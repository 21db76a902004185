"""Training of ``unetpp``: from a job to weight files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import WeightFiles
from defectscope.core.defect_types import may_be_line
from defectscope.core.errors import OptionError
from defectscope.detectors.learning.jobs import expect_one_type, has_lines, refuse_other
from defectscope.detectors.learning.networks import with_weights
from defectscope.detectors.learning.training import Facts, trained
from defectscope.detectors.unetpp.architecture import Architecture
from defectscope.detectors.unetpp.crops import CropMaker, true_masks
from defectscope.detectors.unetpp.module import UnetppModule
from defectscope.detectors.unetpp.network import (
    UnetppNetwork,
    load_encoder,
)
from defectscope.detectors.unetpp.starting import completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from defectscope import DefectType, Instances, Runtime, TrainingJob
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

__all__ = ["has_courses", "train"]

# Options that say what the network is, called as in its card.
DESCRIBED = ("encoder", "masks", "decoder_channels", "reduce", "places")

FACTS = Facts(
    outputs=("masks",),
    threshold_from="best sum of P1's score and F1 of lines",
    scores=lambda best: {"line_score": round(best.score, 4), "line_f1": round(best.f1, 4)},
    score_labels={"score": "P1's score of lines", "f1": "F1 of lines"},
    task="lines",
    example_side=2,
)


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    expect_one_type(job, "unetpp")
    job = completed(job)
    options: UnetppTrainingOptions = job.options

    def module(*given: Any) -> UnetppModule:
        _warn_of_many(job, given[-1])
        return UnetppModule(*given)

    def learnable(truth: Instances) -> bool:
        return has_courses(truth, runtime.defect_types)

    return trained(
        job, runtime, "unetpp", _network, module, CropMaker(options), learnable,
        FACTS,
    )  # fmt: skip


def has_courses(truth: Instances, types: Mapping[str, DefectType]) -> bool:
    """Return whether there is a line to learn in a truth, or the mask of one.

    The mask of a defect that is known to have another shape is none.
    """
    may = np.array([may_be_line(str(name), types) for name in truth.defect_types], bool)
    return has_lines(truth) or bool(true_masks(truth[may], 1))


def _warn_of_many(job: TrainingJob, frames: list[tuple[Any, Any]]) -> None:
    most = max(int((~truth.ignore).sum()) for _, truth in frames)
    if most > job.options.masks:
        job.say(
            f"warning: {job.data.title} has up to {most} lines a frame, and masks = "
            f"{job.options.masks}: of more lines in a crop, the largest are learned"
        )


def _network(job: TrainingJob) -> tuple[UnetppNetwork, Architecture]:
    options: UnetppTrainingOptions = job.options
    if job.init is not None:
        if options.encoder_weights is not None:
            raise OptionError(
                "--init and encoder_weights both say what to start from; leave out one of them"
            )
        files = WeightFiles.open(job.init, "unetpp")
        network, architecture = with_weights(files, Architecture, UnetppNetwork)
        refuse_other(job, DESCRIBED, architecture)
        # Without places nothing in the network depends on the tile.
        return network, architecture.model_copy(update={"tile_px": options.crop_px})
    known = ("none",) if options.encoder_weights is None else ("none", "encoder")
    if options.freeze not in known:
        raise OptionError(
            f"freeze = {options.freeze!r} keeps weights that are there already; name some with "
            "--init (or encoder_weights, for the encoder), or leave it out"
        )
    architecture = Architecture(
        **{name: getattr(options, name) for name in DESCRIBED}, tile_px=options.crop_px
    )
    network = UnetppNetwork(architecture)
    if options.encoder_weights is not None:
        load_encoder(network, options.encoder_weights)
    return network, architecture
