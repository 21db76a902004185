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
# What tells a row of a table of detections, and must not change.
ROW = ("frame", "detection", "x", "y")


def check_tracks(
    named: NamedComponent,
    tracks: Any,
    detections: pd.DataFrame,
    looked_at: Sequence[int] | None = None,
) -> None:
    """Check that a tracker returned rows that it was given as particles, each once a frame.

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
    _check_columns(named, list(tracks.columns), list(detections.columns))
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
    _check_rows(named, tracks, detections)


def _check_columns(named: NamedComponent, found: list[Any], given: list[Any]) -> None:
    needed = list(dict.fromkeys([*NEEDED, *given]))
    missing = [str(name) for name in needed if name not in found]
    if missing:
        raise ComponentError(
            f"{named.describe()} must return a table with the columns that it was given, and "
            f"particle; missing: {', '.join(missing)}"
        )
    twice = sorted({str(name) for name in found if found.count(name) > 1})
    if twice:
        raise ComponentError(
            f"{named.describe()} must return each column once, found twice: {', '.join(twice)}"
        )


def _check_rows(named: NamedComponent, tracks: pd.DataFrame, detections: pd.DataFrame) -> None:
    """Check that rows are as they were given, and that those filled in have a place."""
    names = [name for name in ROW if name in detections]
    given = pd.MultiIndex.from_frame(detections[names])
    returned = pd.MultiIndex.from_frame(tracks[names])
    kept = returned.isin(given)
    new = ~kept
    if "origin" in tracks:
        filled = (tracks["origin"] == "interpolated").to_numpy(bool)
        new &= ~filled | tracks[["x", "y"]].isna().any(axis=1).to_numpy()
    # Where the table itself repeats a row, nobody can tell which of them is returned.
    again = kept & returned.duplicated() & given.is_unique
    for wrong, what in ((new, "not among those given"), (again, "returned twice")):
        if wrong.any():
            row = tracks.loc[wrong, names].head(1).to_dict("records")[0]
            raise ComponentError(
                f"{named.describe()} must return each row once and as it was given, or with the "
                f"origin 'interpolated' where it fills a gap; {what}: "
                + ", ".join(f"{name} {value}" for name, value in row.items())
            )


def _check_numbers(named: NamedComponent, name: str, column: Any, whole: bool) -> None:
    kinds = pd.api.types
    fits = kinds.is_integer_dtype if whole else kinds.is_numeric_dtype
    if not fits(column) or kinds.is_bool_dtype(column) or (whole and column.isna().any()):
        raise ComponentError(
            f"{named.describe()} must return {'whole ' if whole else ''}numbers in the column "
            f"{name}, found {column.dtype}"
        )
