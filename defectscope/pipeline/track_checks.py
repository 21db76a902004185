"""Whether what a tracker returned is tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from defectscope.core.errors import ComponentError

if TYPE_CHECKING:
    from defectscope.pipeline.named import NamedComponent

__all__ = ["check_tracks"]

NEEDED = ("frame", "x", "y", "particle")


def check_tracks(
    named: NamedComponent,
    tracks: Any,
    detections: pd.DataFrame,
    looked_at: Sequence[int] | None = None,
) -> None:
    """Check that a tracker returned a table of particles, each once a frame.

    Parameters
    ----------
    named
        The tracker.
    tracks
        What it returned.
    detections
        What it was given.
    looked_at
        Indices of more frames in which it may have filled in rows.

    Raises
    ------
    ComponentError
        It did not; names the tracker.
    """
    if not isinstance(tracks, pd.DataFrame):
        raise ComponentError(
            f"{named.describe()} must return a table with the columns {', '.join(NEEDED)}, "
            f"found {type(tracks).__name__}"
        )
    missing = [name for name in NEEDED if name not in tracks]
    if missing:
        raise ComponentError(
            f"{named.describe()} must return a table with the columns {', '.join(NEEDED)}; "
            f"missing: {', '.join(missing)}"
        )
    for name in NEEDED:
        _check_numbers(named, str(name), tracks[name], whole=name in ("frame", "particle"))
    possible = set(detections["frame"]) | set(looked_at or ())
    if not tracks["frame"].isin(possible).all():
        raise ComponentError(f"{named.describe()} returned rows of frames that it was not given")
    repeated = tracks.duplicated(["frame", "particle"])
    if repeated.any():
        row = tracks[repeated].iloc[0]
        raise ComponentError(
            f"{named.describe()} must return each particle once a frame, found particle "
            f"{int(row['particle'])} twice in frame {int(row['frame'])}"
        )


def _check_numbers(named: NamedComponent, name: str, column: Any, whole: bool) -> None:
    kinds = pd.api.types
    fits = kinds.is_integer_dtype if whole else kinds.is_numeric_dtype
    if not fits(column) or kinds.is_bool_dtype(column) or (whole and column.isna().any()):
        raise ComponentError(
            f"{named.describe()} must return {'whole ' if whole else ''}numbers in the column "
            f"{name}, found {column.dtype}"
        )
