"""What decides about the result of a training, kept beside it; needs no torch."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope import WeightFiles
from defectscope.core.errors import DefectscopeError, FormatError, OptionError
from defectscope.core.provenance import file_digest
from defectscope.core.training import is_follower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from defectscope import TrainingJob

__all__ = [
    "check_ahead",
    "complete_weights",
    "expect_same",
    "noted_architecture",
    "noted_plan",
    "plan_of",
    "refuse_other_number",
    "work_folder",
]

# What may be another when a training is gone on with: when to be content with what there is. The
# number of steps stands beside the options; theirs was another one before --steps went there too.
FREE = ("options.max_minutes", "options.steps")
# What the recipe on a card says beside the plan.
ON_CARDS = ("best_step", "threads")
# What plans do not say that are older than these keys, or where they have the value of before.
UNSAID = {"data.streams": 1, "validation.streams": 1}
# Digests of files that frames are drawn from: plans without them say nothing of these files.
FILES = "depends_on."


def work_folder(out: Path) -> Path:
    """Return the folder of checkpoints beside a weight file."""
    return out.with_name(f"{out.stem}.training")


def noted_plan(out: Path) -> Path:
    """Return the file in that folder that says which training it is."""
    return work_folder(out) / "plan.json"


def plan_of(
    job: TrainingJob, detector: str, steps: int, architecture: BaseModel | None = None
) -> dict[str, Any]:
    """Return plain values that decide about the result; the network's where it is known."""
    known = {} if architecture is None else {"architecture": architecture.model_dump(mode="json")}
    files = {"data": job.data.depends_on()}
    if job.validation is not None:
        files["validation"] = job.validation.depends_on()
    files = {name: values for name, values in files.items() if values}
    known |= {"depends_on": files} if files else {}
    return {
        "detector": detector,
        "steps": steps,
        "seed": job.seed,
        "options": {**job.options.model_dump(mode="json"), "steps": steps},
        **known,
        "defect_types": list(job.data.defect_types),
        "data": job.data.recipe(),
        "validation": None if job.validation is None else job.validation.recipe(),
        "init": None if job.init is None else f"{job.init.name} {file_digest(job.init)}",
    }


def expect_same(noted: Path, plan: dict[str, Any]) -> None:
    """Check that a training to resume is the one that was begun.

    Parameters
    ----------
    noted
        The plan of that one.
    plan
        What is asked for; without an architecture, any will do.

    Raises
    ------
    OptionError
        It was another one; names what differs.
    FormatError
        The file is damaged.
    """
    try:
        before = json.loads(noted.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{noted} is damaged ({error}); start anew with --overwrite") from error
    changed = _changes(before, plan)
    if changed:
        raise OptionError(
            f"the training in {noted.parent} was another one: {'; '.join(changed[:3])}; "
            "use its values, or start anew with --overwrite"
        )


def noted_architecture(job: TrainingJob) -> dict[str, Any]:
    """Return what is noted of the network of a training to resume; nothing where there is none."""
    noted = noted_plan(job.out)
    if not (job.resume and noted.is_file()):
        return {}
    # What is wrong with the file is said where plans are compared.
    with suppress(OSError, ValueError, LookupError, TypeError):
        return dict(json.loads(noted.read_text(encoding="utf-8"))["architecture"])
    return {}


def _changes(noted: Any, plan: dict[str, Any]) -> list[str]:
    then, now = _flat(noted), _flat(json.loads(json.dumps(plan)))
    unknown: tuple[str, ...] = () if "architecture" in plan else ("architecture.",)
    unknown += () if any(name.startswith(FILES) for name in then) else (FILES,)
    values = {name: [one.get(name, UNSAID.get(name)) for one in (then, now)]
              for name in {**then, **now}}  # fmt: skip
    return [
        f"{name} was {before}, now it is {after}"
        for name, (before, after) in values.items()
        if name not in FREE and not name.startswith(unknown) and before != after
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return what is in nested tables by dotted name."""
    if not isinstance(value, dict):
        return {name: value}
    parts = [_flat(item, f"{name}.{key}" if name else key) for key, item in value.items()]
    return {key: item for part in parts for key, item in part.items()}


def check_ahead(job: TrainingJob, detector: str) -> None:
    """Refuse what cannot work before torch and Lightning are imported, which takes long.

    Raises
    ------
    OptionError, FormatError
        The training to resume was another one; the weights to start from are those of another
        detector, or know another number of defect types.
    """
    steps = job.steps or job.options.steps
    noted = noted_plan(job.out)
    if job.resume and noted.is_file():
        expect_same(noted, plan_of(job, detector, steps))
    if job.init is not None:
        card = WeightFiles.open(job.init, detector).card
        # Detectors of lines learn one type, and say so themselves.
        if card.task != "lines":
            refuse_other_number(job, card.defect_types, len(card.defect_types))


def refuse_other_number(job: TrainingJob, before: Sequence[str], classes: int) -> None:
    """Refuse weights to start from that know more or fewer types than the data has.

    Parameters
    ----------
    job
        What is asked for.
    before, classes
        Names on the card, and outputs of its network.

    Raises
    ------
    FormatError
        They do.
    """
    now = job.data.defect_types
    if classes != len(now):
        known = f"{classes} defect type{'' if classes == 1 else 's'} ({', '.join(before)})"
        raise FormatError(
            f"{job.init} knows {known}, the data has {len(now)} ({', '.join(now)}); start from "
            "weights with as many, merge types with --rename, or leave out --init"
        )


def complete_weights(job: TrainingJob, detector: str) -> WeightFiles | None:
    """Return the weights of this very training where it has come to its end."""
    # Where the first of several processes trains, they are not complete.
    if is_follower() or not (job.resume and job.out.is_file()):
        return None
    try:
        files = WeightFiles.open(job.out, detector)
        for suffix in files.card.sha256:
            files.checked(f".{suffix}")
    except DefectscopeError:
        return None
    noted = {name: value for name, value in files.card.recipe.items() if name not in ON_CARDS}
    steps = job.steps or job.options.steps
    if _changes(noted, plan_of(job, detector, steps)):
        return None
    # Who was content with less may go on.
    cut_short = noted["options"].get("max_minutes") is not None
    return None if cut_short and _last_step(job.out) < steps else files


def _last_step(out: Path) -> int:
    """Return the step of the last validation."""
    import pandas as pd

    try:
        return int(pd.read_csv(work_folder(out) / "curve.csv")["step"].iloc[-1])
    except (OSError, ValueError, KeyError, IndexError):
        return 0
