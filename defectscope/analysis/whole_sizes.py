"""Sizes that are those of whole defects, and of defects that were segmented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.analysis.scales import SIZE_COLUMNS
from defectscope.core.sizes import seen_in_part

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "cut_note", "failed_note", "left_out_of_tracks", "with_fitted_sizes", "with_whole_sizes",
]  # fmt: skip


def _cut(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return of which defects the visible part alone was measured."""
    unknown = np.full(len(table), np.nan)
    return seen_in_part(
        *(table[name].to_numpy(float, na_value=np.nan) if name in table else unknown
          for name in ("at_rim", "fit"))
    )  # fmt: skip


def with_whole_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return detections or tracks whose diameters are empty where they are not of the whole.

    That is where the rim of the frame cuts a defect (``at_rim`` is 1) and no ellipse could be
    fitted (``fit`` is not 1, or is not known).
    """
    return _without(table, _cut(table))


def _failed(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which whole defects could not be segmented: they have the size of their box."""
    if "fit" not in table:
        return np.zeros(len(table), bool)
    return np.asarray((table["fit"] == 0).fillna(False), bool) & ~_cut(table)


def with_fitted_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return :func:`with_whole_sizes`, and without diameters where segmentation failed.

    In the mean of a frame a box stands well enough for its defect (``fit`` is 0). Along a track
    the size would jump from one frame to the next.
    """
    return _without(table, _cut(table) | _failed(table))


def _without(table: pd.DataFrame, rows: NDArray[np.bool_]) -> pd.DataFrame:
    """Return a table whose diameters are empty in some rows."""
    if not rows.any():
        return table
    return table.assign(**{n: table[n].mask(rows) for n in SIZE_COLUMNS if n in table})


def cut_note(table: pd.DataFrame, what: str = "defect") -> str:
    """Return how many sizes :func:`with_whole_sizes` leaves out; nothing where it is none."""
    many = _many(table, _cut(table), what)
    return many and (
        f"Sizes leave out {many} of which the rim of the frame hides so much that only the visible "
        "part was measured."
    )


def failed_note(table: pd.DataFrame, what: str = "sighting") -> str:
    """Return how many more :func:`with_fitted_sizes` leaves out; nothing where it is none."""
    many = _many(table, _failed(table), what)
    return many and (
        f"Sizes leave out {many} of which the segmentation failed (fit is 0), so that the size is "
        "that of the detector's box."
    )


def left_out_of_tracks(tracks: pd.DataFrame) -> str:
    """Return how many sizes of sightings :func:`with_fitted_sizes` leaves out, and why."""
    seen = tracks[tracks["origin"] != "interpolated"] if "origin" in tracks else tracks
    return " ".join(filter(None, (cut_note(seen, "sighting"), failed_note(seen))))


def _many(table: pd.DataFrame, rows: NDArray[np.bool_], what: str) -> str:
    """Return how many of some rows have a size, in words; nothing where none has."""
    columns = [name for name in SIZE_COLUMNS if name in table]
    number = int((rows & table[columns].notna().any(axis=1).to_numpy()).sum())
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""
