"""What a job asks of the training of a learned detector, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import FormatError, OptionError
from defectscope.detectors.learning.module import true_lines
from defectscope.detectors.learning.plans import refuse_other_number, work_folder
from defectscope.detectors.learning.trainer import first_step

if TYPE_CHECKING:
    from pydantic import BaseModel
    from torch import nn

    from defectscope import Instances, TrainingJob

__all__ = [
    "begin",
    "expect_one_type",
    "has_defects",
    "has_lines",
    "match_types",
    "refuse_frozen",
    "refuse_other",
]


def begin(job: TrainingJob, network: nn.Module, plan: dict[str, Any], steps: int) -> int:
    """Prepare the working folder, say what is about to happen, and return the first step."""
    first = first_step(job, plan)
    if first < steps or not (work_folder(job.out) / "best.ckpt").is_file():
        size = sum(p.numel() for p in network.parameters()) / 1e6
        text = f"{size:.2f} million parameters, {steps} steps on {job.data.title}"
        job.say(f"{text}, from step {first} on" if first else text)
    return first


def refuse_other(job: TrainingJob, names: Sequence[str], architecture: BaseModel) -> None:
    """Refuse options of the network that do not fit the weights to start from.

    Raises
    ------
    OptionError
        Names the first one.
    """
    for name in job.options.model_fields_set & set(names):
        if getattr(job.options, name) != getattr(architecture, name):
            raise OptionError(
                f"{name} = {getattr(job.options, name)} does not fit {job.init}, whose network has "
                f"{getattr(architecture, name)}; leave it out, or leave out --init"
            )


def refuse_frozen(job: TrainingJob) -> None:
    """Refuse to freeze what has no weights yet.

    Raises
    ------
    OptionError
        The option ``freeze`` is set.
    """
    if job.options.freeze != "none":
        raise OptionError(
            f"freeze = {job.options.freeze!r} keeps the weights of --init; name some, or leave it "
            "out"
        )


def expect_one_type(job: TrainingJob, detector: str) -> None:
    """Check that the data has one defect type.

    Raises
    ------
    FormatError
        It has several.
    """
    if len(job.data.defect_types) != 1:
        raise FormatError(
            f"{detector} learns one defect type, found {', '.join(job.data.defect_types)} in "
            f"{job.data.title}; leave out the others, or give them one name"
        )


def has_lines(truth: Instances) -> bool:
    """Return whether there is a line to learn in a truth."""
    return bool(true_lines(truth))


def has_defects(truth: Instances) -> bool:
    """Return whether there is a box to learn in a truth."""
    return bool((~truth.ignore).any())


def match_types(job: TrainingJob, before: tuple[str, ...], classes: int, network: Any) -> None:
    """Bring what the weights to start from know into the order of the data's defect types.

    Parameters
    ----------
    job
        Its data has names, and it says so where those are others.
    before
        Names on the card.
    classes
        Outputs of the network.
    network
        Its ``reorder`` exchanges classes.

    Raises
    ------
    FormatError
        There are more or fewer types.
    """
    now = job.data.defect_types
    refuse_other_number(job, before, classes)
    own = {name: before.index(name) for name in now if name in before}
    free = iter(k for k in range(classes) if k not in own.values())
    order = [own[name] if name in own else next(free) for name in now]
    network.reorder(order)
    others = [f"{before[k]} is learned as {name}" for k, name in zip(order, now, strict=True)
              if name not in own]  # fmt: skip
    if others:
        job.say(f"of what {job.init} knows, {', '.join(others)}")
