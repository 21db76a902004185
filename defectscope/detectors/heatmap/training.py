"""Training of ``heatmap``: from a job to weight files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from defectscope import WeightFiles
from defectscope.detectors.heatmap.architecture import Architecture
from defectscope.detectors.heatmap.crops import CropMaker
from defectscope.detectors.heatmap.module import HeatmapModule
from defectscope.detectors.heatmap.network import HeatmapNetwork, load_network
from defectscope.detectors.learning.box_training import box_facts
from defectscope.detectors.learning.cards import read_architecture
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

# Options that say what the network is.
OWN = ("channels", "blocks", "enlarge")
FACTS = box_facts(("centres", "sides"))


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    types = job.data.defect_types
    # What does not fit is refused before anything is prepared.
    crops = CropMaker(job.options, types, _architecture(job))
    return trained(
        job, runtime, "heatmap", _network, partial(HeatmapModule, types), crops, has_defects, FACTS
    )


def _architecture(job: TrainingJob) -> Architecture:
    """Return what the network will be: the options', or that of the weights to start from.

    Raises
    ------
    OptionError
        An option does not fit them.
    """
    options: HeatmapTrainingOptions = job.options
    if job.init is None:
        refuse_frozen(job)
        own = {name: getattr(options, name) for name in OWN}
        return Architecture(**own, classes=len(job.data.defect_types))
    architecture = read_architecture(WeightFiles.open(job.init, "heatmap"), Architecture)
    refuse_other(job, OWN, architecture)
    return architecture


def _network(job: TrainingJob) -> tuple[HeatmapNetwork, Architecture]:
    if job.init is None:
        architecture = _architecture(job)
        return HeatmapNetwork(architecture), architecture
    files = WeightFiles.open(job.init, "heatmap")
    network, architecture = load_network(files)
    match_types(job, files.card.defect_types, architecture.classes, network)
    return network, architecture
