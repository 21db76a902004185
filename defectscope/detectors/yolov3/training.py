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
from defectscope.core.errors import FormatError
from defectscope.detectors.learning.jobs import refuse_frozen, refuse_other
from defectscope.detectors.learning.training import Facts, trained
from defectscope.detectors.yolov3.architecture import Architecture
from defectscope.detectors.yolov3.crops import CropMaker
from defectscope.detectors.yolov3.module import YoloModule
from defectscope.detectors.yolov3.network import YoloNetwork, load_network

if TYPE_CHECKING:
    from defectscope import Instances, Runtime, TrainingJob
    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["train"]

# Options that say what the network is.
OWN = ("variant", "channels", "width", "enlarge")


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types, options = job.data.defect_types, job.options
    # What does not fit is refused before anything is prepared.
    architecture = _architecture(job)
    facts = Facts(
        outputs=architecture.outputs,
        threshold_from="best mean F1 at IoU 0.15 and 0.4",
        scores=lambda best: {"f1_iou_0.15": round(best.f1, 4), "mean_f1": round(best.score, 4)},
        score_labels={"score": "mean F1 at IoU 0.15 and 0.4", "f1": "F1 at IoU 0.15"},
        weight_bits=options.weight_bits,
        packages=("ultralytics-opencv-headless",),
    )
    return trained(
        job, runtime, "yolov3", _network, partial(YoloModule, types),
        CropMaker(options, types, architecture), _has_defects, facts,
    )  # fmt: skip


def _has_defects(truth: Instances) -> bool:
    return bool((~truth.ignore).any())


def _architecture(job: TrainingJob) -> Architecture:
    """Return what the network will be: the options', or that of the weights to start from.

    Raises
    ------
    FormatError
        Those know other defect types.
    OptionError
        An option does not fit them.
    """
    options: YoloTrainingOptions = job.options
    now = job.data.defect_types
    if job.init is None:
        refuse_frozen(job)
        own = {name: getattr(options, name) for name in OWN}
        return Architecture(**own, classes=len(now))
    files = WeightFiles.open(job.init, "yolov3")
    architecture = load_network(files)[1]
    refuse_other(job, OWN, architecture)
    before = files.card.defect_types
    if architecture.classes != len(now):
        raise FormatError(
            f"{job.init} knows {architecture.classes} defect types ({', '.join(before)}), the data "
            f"has {len(now)} ({', '.join(now)}); start from weights with as many, or leave out "
            "--init"
        )
    return architecture


def _network(job: TrainingJob) -> tuple[YoloNetwork, Architecture]:
    if job.init is None:
        architecture = _architecture(job)
        return YoloNetwork(architecture), architecture
    files = WeightFiles.open(job.init, "yolov3")
    network, architecture = load_network(files)
    before, now = files.card.defect_types, job.data.defect_types
    if set(before) == set(now):
        network.reorder([before.index(name) for name in now])
    else:
        job.say(f"what {job.init} knows as {', '.join(before)} is learned as {', '.join(now)}")
    return network, architecture
