"""Training of ``yolov3``: from a job to weight files.

ultralytics has a trainer of its own. It counts epochs of files on disk, keeps its state at their
ends alone, as pickles of whole objects, and reads images at eight bits: an endless stream of
generated frames, steps, a stop that loses at most a minute, and twelve bits are beyond it. So its
network and its loss are trained here by what trains the other detectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from defectscope import WeightFiles
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.jobs import (
    has_defects,
    match_types,
    refuse_frozen,
    refuse_other,
)
from defectscope.detectors.learning.training import trained
from defectscope.detectors.yolov3.architecture import Architecture
from defectscope.detectors.yolov3.crops import CropMaker
from defectscope.detectors.yolov3.module import YoloModule
from defectscope.detectors.yolov3.network import YoloNetwork, load_network

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["train"]

# Options that say what the network is.
OWN = ("variant", "channels", "width", "enlarge")


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types, options = job.data.defect_types, job.options
    # What does not fit is refused before anything is prepared.
    architecture = _architecture(job)
    facts = box_facts(
        architecture.outputs,
        weight_bits=options.weight_bits,
        packages=("ultralytics-opencv-headless",),
    )
    return trained(
        job, runtime, "yolov3", _network, partial(YoloModule, types),
        CropMaker(options, types, architecture), has_defects, facts,
    )  # fmt: skip


def _architecture(job: TrainingJob) -> Architecture:
    """Return what the network will be: the options', or that of the weights to start from.

    Raises
    ------
    OptionError
        An option does not fit them.
    """
    options: YoloTrainingOptions = job.options
    if job.init is None:
        refuse_frozen(job)
        own = {name: getattr(options, name) for name in OWN}
        return Architecture(**own, classes=len(job.data.defect_types))
    architecture = read_architecture(WeightFiles.open(job.init, "yolov3"), Architecture)
    refuse_other(job, OWN, architecture)
    return architecture


def _network(job: TrainingJob) -> tuple[YoloNetwork, Architecture]:
    if job.init is None:
        architecture = _architecture(job)
        return YoloNetwork(architecture), architecture
    files = WeightFiles.open(job.init, "yolov3")
    network, architecture = load_network(files)
    match_types(job, files.card.defect_types, architecture.classes, network)
    return network, architecture
