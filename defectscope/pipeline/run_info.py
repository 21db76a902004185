"""``run.json``: what a run says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from defectscope.core.errors import FormatError, UsageError
from defectscope.pipeline.former_run import ASIDE

__all__ = ["INFO", "is_complete", "own_info", "read_info", "said_of_former"]

INFO = "run.json"


def own_info(folder: Path) -> dict[str, Any] | None:
    """Return ``run.json`` of a folder, or None where there is none of ours.

    Raises
    ------
    FormatError
        It is damaged.
    """
    if not (folder / INFO).is_file():
        return None
    info = _read_json(folder / INFO)
    ours = isinstance(info, dict) and {"plan", "versions", "status"} <= info.keys()
    return info if ours else None


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a run that came to its end."""
    info = own_info(folder)
    return info is not None and info["status"] == "complete"


def said_of_former(folder: Path) -> str:
    """Return where the run is that another has yet to replace; empty where there is none."""
    former = folder / ASIDE
    if not (former / INFO).is_file():
        return ""
    return f"; the run that was to be replaced is in {former}, and run --resume puts it back"


def read_info(folder: Path) -> dict[str, Any]:
    """Read ``run.json`` of a run folder.

    Raises
    ------
    UsageError
        The folder holds no run.
    FormatError
        The file is malformed.
    """
    path = folder / INFO
    if not path.is_file():
        former = said_of_former(folder)
        if former:
            raise UsageError(f"{folder} has no {INFO} yet{former}")
        raise UsageError(f"{folder} is no run folder: it has no {INFO}")
    info = _read_json(path)
    if not isinstance(info, dict):
        raise FormatError(f"{path} must hold an object, found {type(info).__name__}")
    return info


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise FormatError(
            f"{path} is damaged or cannot be read ({error}); copy it again, or run again with "
            "--overwrite"
        ) from error
