"""Sizes that are those of whole defects, not of what the rim of the frame left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope.analysis.scales import SIZE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["cut_note", "with_whole_sizes"]


def _cut(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return of which defects the visible part alone was measured.

    An ellipse through the edge that is seen goes on beyond the rim. The others have their centre
    out there; to keep those with their centre inside, and no more, favours no size.
    """
    if "at_rim" not in table:
        return np.zeros(len(table), bool)
    cut = table["at_rim"] == 1
    if "fit" in table:
        cut &= ~(table["fit"] == 1).fillna(False).astype(bool)
    return np.asarray(cut.fillna(False), bool)


def with_whole_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return detections or tracks whose diameters are empty where they are not of the whole.

    That is where the rim of the frame cuts a defect (``at_rim`` is 1) and no ellipse could be
    fitted (``fit`` is not 1, or is not known).
    """
    cut = _cut(table)
    if not cut.any():
        return table
    return table.assign(**{n: table[n].mask(cut) for n in SIZE_COLUMNS if n in table})


def cut_note(table: pd.DataFrame, what: str = "defect") -> str:
    """Return how many sizes :func:`with_whole_sizes` leaves out; nothing where it is none."""
    columns = [name for name in SIZE_COLUMNS if name in table]
    number = int((_cut(table) & table[columns].notna().any(axis=1).to_numpy()).sum())
    if not number:
        return ""
    many = f"{number} {what}{'s' if number > 1 else ''}"
    return (
        f"Sizes leave out {many} of which the rim of the frame hides so much that only the visible "
        "part was measured."
    )
