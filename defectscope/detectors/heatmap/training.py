"""Training of ``heatmap``: from a job to weight files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.module import HeatmapModule
from defectscope.detectors.heatmap.network import HeatmapNetwork
from defectscope.detectors.learning.box_jobs import asked_architecture, asked_network
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.jobs import has_defects
from defectscope.detectors.learning.training import trained

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob, WeightFiles

__all__ = ["train"]

# Options that say what the network is.
OWN = ("channels", "blocks", "enlarge")
FACTS = box_facts(("centres", "sides"))


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types = job.data.defect_types
    # What does not fit is refused before anything is prepared.
    architecture = asked_architecture(job, "heatmap", Architecture, OWN)
    return trained(
        job, runtime, "heatmap",
        partial(asked_network, "heatmap", architecture, HeatmapNetwork),
        partial(HeatmapModule, types), CropMaker(job.options, types, architecture), has_defects,
        FACTS,
    )  # fmt: skip
