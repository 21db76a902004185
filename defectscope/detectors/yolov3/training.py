"""Training of ``yolov3``: from a job to weight files.

ultralytics has a trainer of its own. It counts epochs of files on disk, keeps its state at their
ends alone, as pickles of whole objects, and reads images at eight bits: an endless stream of
generated frames, steps, a stop that loses at most a minute, and twelve bits are beyond it. So its
network and its loss are trained here by what trains the other detectors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from defectscope.detectors.learning.box_jobs import asked_architecture, asked_network
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.jobs import has_defects
from defectscope.detectors.learning.training import trained
from defectscope.detectors.yolov3.architecture import Architecture
from defectscope.detectors.yolov3.crops import CropMaker
from defectscope.detectors.yolov3.module import YoloModule
from defectscope.detectors.yolov3.network import YoloNetwork

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob, WeightFiles

__all__ = ["train"]

# Options that say what the network is.
OWN = ("variant", "channels", "width", "enlarge")


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types, options = job.data.defect_types, job.options
    # What does not fit is refused before anything is prepared.
    architecture = asked_architecture(job, "yolov3", Architecture, OWN)
    facts = box_facts(
        architecture.outputs,
        packages=("ultralytics-opencv-headless",),
        # ultralytics claims it for what was trained with its code.
        licence="AGPL-3.0-only",
    )
    return trained(
        job, runtime, "yolov3",
        partial(asked_network, "yolov3", architecture, YoloNetwork),
        partial(YoloModule, types), CropMaker(options, types, architecture), has_defects, facts,
    )  # fmt: skip
