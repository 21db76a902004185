"""Training of ``line-tracer``: from a job to weight files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from defectscope import WeightFiles
from defectscope.core.errors import OptionError
from defectscope.detectors.learning.jobs import (
    expect_one_type,
    has_lines,
    refuse_frozen,
    refuse_other,
)
from defectscope.detectors.learning.networks import with_weights
from defectscope.detectors.learning.training import Facts, trained
from defectscope.detectors.line_tracer.crops import CropMaker
from defectscope.detectors.line_tracer.module import LineModule
from defectscope.detectors.line_tracer.network import Architecture, LineNetwork

if TYPE_CHECKING:
    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions

__all__ = ["train"]

SIZES = ("stem", "channels", "blocks", "head", "bins", "fine")
FACTS = Facts(
    outputs=("presence", "offsets", "ends"),
    threshold_from="best mean of P1's score and F1 of lines",
    scores=lambda best: {
        "mean_of_score_and_f1": round(best.score, 4),
        "line_f1": round(best.f1, 4),
    },
    score_labels={"score": "mean of P1's score and F1 of lines", "f1": "F1 of lines"},
    task="lines",
)


def train(job: TrainingJob, runtime: Runtime) -> WeightFiles:
    """Train a network; raises what :func:`trained` raises."""
    expect_one_type(job, "line-tracer")
    return trained(
        job, runtime, "line-tracer", _network, LineModule, CropMaker(job.options), has_lines, FACTS
    )


def _network(job: TrainingJob) -> tuple[LineNetwork, Architecture]:
    options: LineTracerTrainingOptions = job.options
    if job.init is None:
        refuse_frozen(job)
        architecture = Architecture(**{name: getattr(options, name) for name in SIZES})
        return LineNetwork(architecture), architecture
    network, architecture = with_weights(
        WeightFiles.open(job.init, "line-tracer"), Architecture, LineNetwork
    )
    refuse_other(job, SIZES, architecture)
    if options.bins != architecture.bins:
        raise OptionError(
            f"bins = {options.bins} does not fit {job.init}, which has {architecture.bins}; set "
            f"line-tracer.bins={architecture.bins}"
        )
    return network, architecture
