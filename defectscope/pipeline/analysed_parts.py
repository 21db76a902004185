"""Figures beside a run that are of a part of it, or under another calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.core.calibration import Calibration
    from defectscope.pipeline.regions import Roi

__all__ = ["analysed_part", "parts_with", "said_of_part"]


def analysed_part(
    of_run: Calibration,
    used: Calibration,
    frames: str | None,
    roi: Roi | None,
    tracks: str | Path | pd.DataFrame | None,
) -> dict[str, Any]:
    """Return what sets an analysis apart from one of the whole run; nothing where it is that.

    Parameters
    ----------
    of_run, used
        Calibrations: that of the run, and that of the analysis.
    frames, roi, tracks
        What was chosen.
    """
    part = {
        "frames": frames,
        "roi": None if roi is None else list(roi),
        "tracks": _called(tracks),
        "calibration": None if used == of_run else used.model_dump(mode="json"),
    }
    return {name: value for name, value in part.items() if value is not None}


def _called(tracks: str | Path | pd.DataFrame | None) -> str | None:
    if tracks is None:
        return None
    return str(tracks) if isinstance(tracks, str | Path) else "a table in memory"


def parts_with(
    parts: Sequence[Mapping[str, Any]], part: Mapping[str, Any], names: Collection[str]
) -> list[dict[str, Any]]:
    """Return the entry ``figures_of`` of ``run.json`` with the files of one more analysis.

    Parameters
    ----------
    parts
        The entry as it was: what sets each apart, and the names of its ``figures``.
    part
        From :func:`analysed_part`.
    names
        Files that are written now, in place of others of these names.
    """
    kept = [
        {**known, "figures": [name for name in known["figures"] if name not in names]}
        for known in parts
    ]
    if part:
        same = next(
            (known for known in kept if known == {**part, "figures": known["figures"]}), None
        )
        if same is None:
            kept.append({**part, "figures": sorted(names)})
        else:
            same["figures"] = sorted([*same["figures"], *names])
    return [known for known in kept if known["figures"]]


def said_of_part(
    info: Mapping[str, Any], part: Mapping[str, Any], names: Collection[str]
) -> list[str]:
    """Return what to say where figures of a part stand among those of the whole run.

    Parameters
    ----------
    info
        ``run.json`` before they were written.
    part, names
        As for :func:`parts_with`.
    """
    others = {name for known in info.get("figures_of", []) for name in known["figures"]}
    whole = set(info.get("figures", [])) - others
    if not part or not whole:
        return []
    words = {
        "frames": f"frames {part.get('frames')}",
        "roi": f"the region {','.join(map(str, part.get('roi', [])))}",
        "tracks": "other tracks",
        "calibration": "another calibration",
    }
    number = len(whole & set(names))
    replaced = f", in place of {number} of their files" if number else ""
    return [
        f"figures of {' and '.join(words[name] for name in part)} stand among those of the whole "
        f"run{replaced}; give --out FOLDER to keep them apart"
    ]
