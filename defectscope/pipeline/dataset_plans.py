"""The plan of a dataset of synthetic images, and whether another one would give the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import OutputError, UsageError
from defectscope.core.files import json_text

if TYPE_CHECKING:
    from pathlib import Path

    from defectscope.pipeline.samples import SampleMaker

__all__ = ["check_resumed", "former_plan", "plan_record"]


def plan_record(maker: SampleMaker, masks: bool) -> dict[str, Any]:
    """Return what ``dataset.json`` says, with digests of files that an open maker draws from."""
    record = {**maker.plan.as_dict(), "masks": masks, "versions": maker.versions}
    return {**record, "depends_on": maker.depends_on()}


def former_plan(path: Path) -> dict[str, Any]:
    """Read the ``dataset.json`` that is there.

    Raises
    ------
    OutputError
        It is none of ours, and so is its folder.
    """
    try:
        former: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _flat(former)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path} is no plan of a dataset that generate wrote; choose another --out"
        ) from error
    return former


def check_resumed(path: Path, plan: dict[str, Any]) -> None:
    """Refuse to go on with a dataset by a plan that gives other images.

    Parameters
    ----------
    path
        The ``dataset.json`` that is there.
    plan
        What :func:`plan_record` says now.

    Raises
    ------
    OutputError
        It is none of ours.
    UsageError
        It differs; says in what.
    """
    before, plan = former_plan(path), json.loads(json_text(plan))
    former, now = _flat(before), _flat(plan)
    for key in former | now:
        if former.get(key) != now.get(key):
            raise UsageError(
                f"the dataset in {path.parent} was begun with another command: {key} was "
                f"{former.get(key)!r}, now it is {now.get(key)!r}; use the same, or give "
                "--overwrite in place of --resume"
            )
    # Plans of earlier versions say nothing of them.
    versions = before.get("versions", plan["versions"])
    if versions != plan["versions"]:
        raise UsageError(
            f"the dataset in {path.parent} was begun with {_listed(versions)}, now it is "
            f"{_listed(plan['versions'])}, which may draw other images; give --overwrite in place "
            "of --resume"
        )
    files = before.get("depends_on", plan["depends_on"])
    for alias, values in plan["depends_on"].items():
        if files.get(alias) != values:
            raise UsageError(
                f"the files that {alias} draws from are others than those that the dataset in "
                f"{path.parent} was begun with{_changed(files.get(alias), values)}; bring them "
                "back, or give --overwrite in place of --resume"
            )


def _changed(before: Any, now: dict[str, Any]) -> str:
    """Return which files are others, in brackets, where that is known."""
    old, new = ((values or {}).get("files") or {} for values in (before, now))
    names = sorted(name for name in old | new if old.get(name) != new.get(name))
    return f" ({', '.join(names)})" if names else ""


def _flat(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a plan by the names that they have on the command line."""
    components = [plan["background"], *plan["generators"]]
    named = [c["name"].removeprefix("defectscope/") for c in components]
    named = [
        name if c["alias"] == name else f"{c['alias']}={name}"
        for c, name in zip(components, named, strict=True)
    ]
    options = {f"{c['alias']}.{name}": v for c in components for name, v in c["options"].items()}
    simple = {"background": named[0], "generators": named[1:], "size": plan["shape"][::-1]}
    return simple | {k: plan[k] for k in ("seed", "length", "bit_depth", "masks")} | options


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
