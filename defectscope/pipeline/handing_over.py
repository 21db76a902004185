"""What is done to a frame, handed to other processes, or one sentence why that cannot be."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

from defectscope.core.errors import DefectscopeError, UsageError

if TYPE_CHECKING:
    from defectscope.pipeline.stages import FrameStages

__all__ = ["packed", "unpacked"]

WHAT_TO_DO = (
    "put the classes of your own into a module, with neither functions nor open files in their "
    "attributes, or leave out --workers and --dask"
)


def packed(stages: FrameStages) -> bytes:
    """Return stages as bytes that other processes can make them of again.

    Raises
    ------
    UsageError
        A sequence of frames or a component of somebody's own holds what cannot be pickled.
    """
    try:
        return pickle.dumps(stages)
    except (DefectscopeError, MemoryError):
        raise  # they say themselves what to do, and no module helps
    except Exception as error:  # whatever a class of somebody's own raises
        raise UsageError(
            f"frames or components cannot be handed to other processes ({_reason(error)}); "
            f"{WHAT_TO_DO}"
        ) from error


def unpacked(payload: bytes) -> FrameStages:
    """Return stages from :func:`packed`, in another process.

    Raises
    ------
    UsageError
        Their classes cannot be imported there.
    """
    try:
        stages: FrameStages = pickle.loads(payload)
    except (DefectscopeError, MemoryError):
        raise
    except Exception as error:
        raise UsageError(
            f"frames or components cannot be made again in another process ({_reason(error)}); "
            f"{WHAT_TO_DO}"
        ) from error
    return stages


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
