"""Training of Faster R-CNN: from a job to weight files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from defectscope import WeightFiles
from defectscope.core.errors import InputError, OptionError
from defectscope.detectors.faster_rcnn.anchors import anchors_of, sizes_in
from defectscope.detectors.faster_rcnn.architecture import Architecture, strides_px_of
from defectscope.detectors.faster_rcnn.crops import CropMaker
from defectscope.detectors.faster_rcnn.module import FasterRcnnModule
from defectscope.detectors.faster_rcnn.network import FasterRcnnNetwork
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.jobs import has_defects, match_types, refuse_other
from defectscope.detectors.learning.networks import with_weights
from defectscope.detectors.learning.plans import noted_architecture
from defectscope.detectors.learning.training import Facts, trained

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.faster_rcnn.architecture import AnchorsOfLevel
    from defectscope.detectors.faster_rcnn.options import FasterRcnnTrainingOptions

__all__ = ["FACTS", "new_architecture", "train", "train_network"]

OF_THE_NETWORK = ("backbone", "inputs", "fpn_channels", "head_channels", "proposals_per_mpx")
FACTS = box_facts(
    ("proposals", "logits", "deltas"),
    # One frame at a time: each has proposals of its own.
    axes={"pixels": {2: "height", 3: "width"}}
    | {name: {0: "k"} for name in ("proposals", "logits", "deltas")},
    packages=("torchvision", "scipy"),
    example_side=8,
)

A = TypeVar("A", bound=Architecture)


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    return train_network(job, runtime, "faster-rcnn", Architecture, FasterRcnnNetwork, FACTS)


def train_network(
    job: TrainingJob,
    runtime: Runtime,
    detector: str,
    kind: type[A],
    build: Callable[[A], Any],
    facts: Facts,
) -> WeightFiles:
    """Train a Faster R-CNN.

    Parameters
    ----------
    job, runtime
        What was asked for, and where.
    detector
        Its name.
    kind
        What its cards say of a network.
    build
        Makes such a network, with the methods of :class:`FasterRcnnNetwork`.
    facts
        For card and curves.

    Raises
    ------
    InputError, FormatError, OptionError
        As :func:`trained` and :func:`new_architecture` do.
    """
    options: FasterRcnnTrainingOptions = job.options
    types = job.data.defect_types
    inputs = options.inputs
    if job.init is not None:
        if options.backbone_weights is not None:
            raise OptionError(
                "--init and backbone_weights both say what to start from; leave out one of them"
            )
        inputs = read_architecture(WeightFiles.open(job.init, detector), kind).inputs
    return trained(
        job, runtime, detector, partial(_network, detector, kind, build),
        partial(FasterRcnnModule, types, inputs), CropMaker(options, types, inputs), has_defects,
        facts,
    )  # fmt: skip


def new_architecture(job: TrainingJob, kind: type[A]) -> A:
    """Return what the options describe, with anchors of the data.

    A training that is resumed keeps the anchors that it has: the same data may give others since.

    Raises
    ------
    OptionError
        What is to be kept is not there.
    InputError
        There is no box that anchors could be made of.
    """
    options: FasterRcnnTrainingOptions = job.options
    known = ("none",) if options.backbone_weights is None else ("none", "backbone")
    if options.freeze not in known:
        raise OptionError(
            f"freeze = {options.freeze!r} keeps weights that are there already; name some with "
            "--init (or backbone_weights, for the backbone), or leave it out"
        )
    return kind(
        backbone=options.backbone,
        classes=len(job.data.defect_types),
        inputs=options.inputs,
        anchors=_anchors(job),
        fpn_channels=options.fpn_channels,
        head_channels=options.head_channels,
        frozen_norm=options.backbone_weights is not None,
        proposals_per_mpx=options.proposals_per_mpx,
    )


def _anchors(job: TrainingJob) -> tuple[AnchorsOfLevel, ...]:
    options: FasterRcnnTrainingOptions = job.options
    noted = noted_architecture(job)
    # Another network is refused later, with its name.
    if noted.get("backbone") == options.backbone and "anchors" in noted:
        return tuple(tuple((w, h) for w, h in level) for level in noted["anchors"])
    sizes = sizes_in(job.data, options.anchor_frames)
    if not len(sizes):
        few = job.data.length is None
        where = f"its first {options.anchor_frames}" if few else "any of its"
        more = ", or raise anchor_frames" if few else ""
        raise InputError(
            f"{job.data.title} has no labelled defect in {where} frames, of whose sizes anchors "
            f"could be made; label some{more}"
        )
    levels = len(strides_px_of(options.backbone))
    return anchors_of(sizes, levels, options.anchors_per_level, job.seed, options.rotate)


def _network(
    detector: str, kind: type[A], build: Callable[[A], Any], job: TrainingJob
) -> tuple[Any, A]:
    options: FasterRcnnTrainingOptions = job.options
    if job.init is None:
        architecture = new_architecture(job, kind)
        network = build(architecture)
        if options.backbone_weights is not None:
            network.load_backbone(options.backbone_weights)
    else:
        files = WeightFiles.open(job.init, detector)
        network, architecture = with_weights(files, kind, build)
        refuse_other(job, OF_THE_NETWORK, architecture)
        per_level = len(architecture.anchors[0])
        if (
            options.anchors_per_level != per_level
            and "anchors_per_level" in options.model_fields_set
        ):
            raise OptionError(
                f"anchors_per_level = {options.anchors_per_level} does not fit {job.init}, whose "
                f"network has {per_level}; leave it out, or leave out --init"
            )
        match_types(job, files.card.defect_types, architecture.classes, network)
    network.learn_from(options.proposals_per_crop)
    return network, architecture
