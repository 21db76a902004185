"""What stands on top of a report: what was run on what, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from defectscope.core.datasets import PAGE

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.core.defect_types import DefectType
    from defectscope.core.findings import Tables
    from defectscope.pipeline.results import Result

__all__ = ["heading", "report_facts"]

FAMILIES = {"detectors": "Detector", "postprocessors": "Post-processor", "trackers": "Tracker"}
# Input files that are named one by one.
MOST_NAMED = 5
UNITS = ("px", "nm", "s", "frames")


def report_facts(
    result: Result, tables: Tables, types: Mapping[str, DefectType], threshold: float | None
) -> dict[str, str]:
    """Return what was run on what, by name.

    Parameters
    ----------
    result
        The run.
    tables
        What was analysed of it.
    types
        Registered defect types, for their titles.
    threshold
        Least score by the card of the detector's weights, where it is known.
    """
    plan, info = result.info["plan"], result.info
    index = tables.frames["frame"]
    facts = {
        "Frames": f"{len(index)}, indices {index.min()} to {index.max()}",
        "Detections": str(len(tables.detections)),
    }
    for component in plan["components"]:
        if component["family"] in FAMILIES:
            name = FAMILIES[component["family"]]
            text = _component(component, threshold)
            facts[name] = f"{facts[name]}; then {text}" if name in facts else text
    facts |= _shaping(plan)
    facts |= {
        "Calibration": _calibration(tables.calibration.model_dump(), types),
        "Inputs": _inputs(list(plan["inputs"]), tables.frames),
        "Run": f"{info['status']}, defectscope {info['versions'].get('defectscope', '?')}",
    }
    if tables.roi is not None:
        facts["Region"] = f"{','.join(map(str, tables.roi))} px"
    return facts


def _shaping(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return what decided about detections beside the components, where anything did."""
    facts = {}
    # Labelled images, and runs of earlier versions, have none of these.
    if vote := plan.get("vote"):
        facts["Vote"] = f"{vote}: kept where found in {' of '.join(vote.split('/'))} frames"
    if register := plan.get("register"):
        options = ", ".join(f"{name} = {_value(value)}" for name, value in register.items())
        facts["Registration"] = f"frames laid on each other ({options})"
    if masks := plan.get("masks"):
        parts = [",".join(map(str, rectangle)) for rectangle in masks.get("rectangles", [])]
        parts = [f"{'; '.join(parts)} px"] if parts else []
        facts["Masked"] = ", ".join([*parts, *masks.get("files", [])])
    return facts


def _component(component: Mapping[str, Any], threshold: float | None) -> str:
    options = dict(component.get("options", {}))
    if options.get("score", 0) is None and threshold is not None:
        options["score"] = f"{threshold:g} (by the weights)"
    # What is not set is left to the component, which says so in `plugins info`.
    shown = [f"{name} = {_value(value)}" for name, value in options.items() if value is not None]
    text = f"{component['alias']} ({component['distribution']} {component['version']})"
    return f"{text}: {', '.join(shown)}" if shown else text


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _calibration(known: Mapping[str, Any], types: Mapping[str, DefectType]) -> str:
    texts = {
        "pixel_size_nm": "pixel size {:g} nm",
        "frame_interval_s": "frame interval {:g} s",
        "dose_start_dpa": "dose at frame 0 {:g} dpa",
        "dose_per_frame_dpa": "dose a frame {:g} dpa",
        "thickness_nm": "foil thickness {:g} nm",
    }
    parts = [text.format(known[name]) for name, text in texts.items()
             if known.get(name) is not None]  # fmt: skip
    if table := known.get("frame_times"):
        told = [text for name, text in (("time_s", "times"), ("dose_dpa", "doses")) if table[name]]
        parts.append(f"{' and '.join(told)} of {len(table['frame'])} frames from a table")
    fractions = known.get("visible_fraction") or {}
    others = "every type" if len(fractions) == 1 else "every other type"
    for name, value in fractions.items():
        of = others if name == "*" else types[name].title if name in types else name
        parts.append(f"visible fraction of {of} {value:g}")
    return ", ".join(parts) or "none"


def _inputs(given: Sequence[str], frames: pd.DataFrame) -> str:
    """Return the files that frames came from, and of how many they are a part."""
    many = re.fullmatch(r"(\d+) files", given[0]) if len(given) == 1 else None
    total = int(many[1]) if many else len(given)
    # "v.mp4#3" is a frame of a file.
    files = list(dict.fromkeys(PAGE.sub("", str(name)) for name in frames["source"]))
    names = ", ".join(files) if len(files) <= MOST_NAMED else f"{files[0]} to {files[-1]}"
    if len(files) < total:
        return f"{len(files)} of {total} files: {names}"
    return f"{len(files)} files: {names}" if len(files) > MOST_NAMED else names


def heading(column: str) -> str:
    """Return the heading of a column, its unit in brackets: ``median diameter (nm)``."""
    if column in ("x", "y"):
        return f"{column} (px)"
    words, _, unit = column.rpartition("_")
    text = f"{words} ({unit})" if unit in UNITS and words else column
    return text.replace("_", " ")
