"""The network that a job asks for, where all that describes it are options and the defect types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from defectscope import WeightFiles
from defectscope.detectors.learning.cards import read_architecture
from defectscope.detectors.learning.jobs import match_types, refuse_frozen, refuse_other
from defectscope.detectors.learning.networks import with_weights

if TYPE_CHECKING:
    from defectscope import TrainingJob

__all__ = ["asked_architecture", "asked_network"]

A = TypeVar("A", bound=BaseModel)


def asked_architecture(job: TrainingJob, detector: str, kind: type[A], names: Sequence[str]) -> A:
    """Return what the network will be: the options', or that of the weights to start from.

    Parameters
    ----------
    job, detector
        What was asked for, and the name of the detector.
    kind
        What its cards say of a network; ``classes`` is the number of defect types.
    names
        Options that say the rest, called as there.

    Raises
    ------
    OptionError
        An option does not fit the weights.
    """
    if job.init is None:
        refuse_frozen(job)
        own = {name: getattr(job.options, name) for name in names}
        return kind(**own, classes=len(job.data.defect_types))
    architecture = read_architecture(WeightFiles.open(job.init, detector), kind)
    refuse_other(job, names, architecture)
    return architecture


def asked_network(
    detector: str,
    architecture: A,
    build: Callable[[A], Any],
    job: TrainingJob,
) -> tuple[Any, A]:
    """Return the network to train, new or with the weights to start from, and what it is.

    Parameters
    ----------
    detector, architecture
        Its name, and what :func:`asked_architecture` returned.
    build
        Makes a new network of an architecture.
    job
        What was asked for.

    Raises
    ------
    FormatError
        The weights are of another number of defect types.
    """
    if job.init is None:
        return build(architecture), architecture
    files = WeightFiles.open(job.init, detector)
    known: Any
    network, known = with_weights(files, type(architecture), build)
    match_types(job, files.card.defect_types, known.classes, network)
    return network, architecture
