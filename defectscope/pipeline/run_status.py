"""Whether a run came to its end, and how far it came if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from defectscope.pipeline.run_info import said_of_former

if TYPE_CHECKING:
    from defectscope.pipeline.results import Result

__all__ = ["GOING_ON", "said_of_incomplete"]

# What a run says of itself until it ends; one that was killed says so for ever.
GOING_ON = ("running", "tracking")


def said_of_incomplete(result: Result) -> list[str]:
    """Return what to say of the tables of a run that was interrupted or failed, or goes on.

    Parameters
    ----------
    result
        A run, or labels that stand for one: those are complete as they are.
    """
    status = result.info.get("status")
    if status in ("complete", "labelled data"):
        return []
    planned = (result.info.get("plan") or {}).get("frames") or [0]
    done = len(result.frames)
    # Of a run that watches a folder the number is not known before its end.
    far = f": it has {done} of {planned[0]} frames" if done < planned[0] else ""
    former = said_of_former(result.folder)
    return [f"the run in {result.folder} is not complete ({status}){far}{former}"]
