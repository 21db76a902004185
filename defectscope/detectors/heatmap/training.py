"""Training of ``heatmap``: from a job to weight files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from defectscope import WeightFiles
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.module import HeatmapModule
from defectscope.detectors.heatmap.network import Architecture, HeatmapNetwork, load_network
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.jobs import (
    has_defects,
    match_types,
    refuse_frozen,
    refuse_other,
)
from defectscope.detectors.learning.training import trained

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions

__all__ = ["train"]

FACTS = box_facts(("centres", "sides"))


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types = job.data.defect_types
    return trained(
        job, runtime, "heatmap", _network, partial(HeatmapModule, types),
        CropMaker(job.options, types), has_defects, FACTS,
    )  # fmt: skip


def _network(job: TrainingJob) -> tuple[HeatmapNetwork, Architecture]:
    options: HeatmapTrainingOptions = job.options
    classes = len(job.data.defect_types)
    if job.init is None:
        architecture = Architecture(
            channels=options.channels, blocks=options.blocks, classes=classes
        )
        refuse_frozen(job)
        return HeatmapNetwork(architecture), architecture
    files = WeightFiles.open(job.init, "heatmap")
    network, architecture = load_network(files)
    refuse_other(job, ("channels", "blocks"), architecture)
    match_types(job, files.card.defect_types, architecture.classes, network)
    return network, architecture
