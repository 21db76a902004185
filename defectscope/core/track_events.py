"""Which tracks merged and which split, as sizes and places tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope.core.track_quality import STUB_SIGHTINGS, moving_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["track_events"]

# Distance of two centres, as a share of the sum of both half axes, at which two loops touch.
TOUCHING = 1.3
# Share of the area of the one that ends (or begins) by which the other must grow (or shrink).
AREA_SHARE = 0.5
# One loop that takes the place of two: part of their area that it may have, and how far it may
# lie from their common centre, as a share of its own half axis.
AREA_KEPT = 0.6, 1.6
OFF_CENTRE = 0.5
# Sightings that say how large a particle is before and after.
SIGHTINGS = 3

NAMES = ["kind", "frame", "particle", "other", "distance_px", "area_share"]
# Of tables without rows too: pandas 2.2 warns where one without types is put to another.
DTYPES = {
    "frame": int, "particle": int, "other": int, "distance_px": float, "area_share": float,
}  # fmt: skip


def track_events(tracks: pd.DataFrame, looked_at: ArrayLike | None = None) -> pd.DataFrame:
    """Return merges and splits.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y`` and ``diameter_px`` or ``major_px``; without sizes
        nothing can be told.
    looked_at
        Indices of the frames of the series, which need not be consecutive; by default all from
        the first to the last of the tracks. Tracks that end in the last frame have no end.

    Returns
    -------
    DataFrame
        ``kind`` (``merge`` or ``split``), ``frame`` (the first in which both are one, or two),
        ``particle`` (the one that ended or began), ``other`` (the one that went on),
        ``distance_px`` and ``area_share`` (growth of the other by area of this one; 1 where the
        area is kept). Where neither went on, as the new loop lies too far from both, there are two
        rows, whose ``other`` is the new one, and ``area_share`` is its area by that of both.

    Notes
    -----
    A track of at least three sightings merges into another when the other, of at least six, goes
    on, both touched in the frame before, and the other has grown by at least half the area of the
    one that ended; or when both end there, and a track begins between them that has about the area
    of both. Six are three that say how large it was before, and three after. A split is the same
    in reverse.
    """
    size = next((n for n in ("diameter_px", "major_px") if n in tracks), None)
    nothing = pd.DataFrame({name: pd.Series(dtype=float) for name in NAMES})
    if size is None or tracks.empty:
        return nothing.astype({"kind": "str", **DTYPES})
    # Long loops touch at their ends, farther apart than their diameters say.
    reach = "major_px" if "major_px" in tracks else size
    rows = tracks[["frame", "particle", *moving_columns(tracks), size, reach]].copy()
    rows.columns = pd.Index(["frame", "particle", "x", "y", "size", "reach"])
    # Places in the series: the frame after one is not always that of the next index.
    own = rows["frame"].to_numpy(np.int64)
    series = (
        np.arange(own.min(), own.max() + 1) if looked_at is None else np.union1d(looked_at, own)
    )
    rows["frame"] = np.searchsorted(series, own)
    # A particle whose size is unknown is there all the same: it has neither ended nor begun.
    rows = rows.dropna(subset=["x", "y"])
    rows = rows.sort_values(["particle", "frame"], kind="stable", ignore_index=True)
    reaches = rows.groupby("particle")["reach"]
    rows["reach"] = reaches.ffill().fillna(reaches.bfill())
    backwards = rows.assign(frame=-rows["frame"])[::-1].reset_index(drop=True)
    found = [_events(rows, "merge", len(series) - 1, 1), _events(backwards, "split", 0, -1)]
    events = pd.concat(found, ignore_index=True)
    return events.assign(frame=series[events["frame"].to_numpy(np.int64)]).sort_values(
        ["frame", "particle", "other"], kind="stable", ignore_index=True
    )


def _events(rows: pd.DataFrame, kind: str, last: int, sign: int) -> pd.DataFrame:
    """Find tracks that end in another one; a split is that with time turned round.

    Frames are places in the series, from 0 on, or from 0 down where `sign` is -1.
    """
    groups = rows.groupby("particle", sort=True)
    rows = rows.assign(
        before=_smooth(rows, -1), after=_smooth(rows, 1),
        length=groups["frame"].transform("size"),
        from_start=groups.cumcount(), from_end=groups.cumcount(ascending=False),
    )  # fmt: skip
    long = rows["length"] >= STUB_SIGHTINGS
    ended = rows[(rows["from_end"] == 0) & long & (rows["frame"] < last)]
    goes_on = _into_neighbour(rows[rows["from_end"] >= 1], ended)
    left = ended[~ended["particle"].isin(goes_on["particle"])]
    begun = rows[(rows["from_start"] == 0) & long]
    found = pd.concat([goes_on, _into_new(left, begun)], ignore_index=True)
    return found.assign(kind=kind, frame=sign * found["frame"] + (1 if sign > 0 else 0))[NAMES]


def _into_neighbour(others: pd.DataFrame, ended: pd.DataFrame) -> pd.DataFrame:
    """Return what ends beside another one that goes on and grows."""
    # Enough for three that say how large it was before, and three after.
    others = others[others["length"] >= 2 * STUB_SIGHTINGS]
    pairs = _touching(ended, others)
    pairs["area_share"] = (pairs["after_other"] ** 2 - pairs["before_other"] ** 2) / (
        pairs["before"] ** 2
    )
    pairs = pairs[pairs["area_share"] >= AREA_SHARE].sort_values(["particle", "distance_px"])
    pairs = pairs.drop_duplicates("particle").rename(columns={"particle_other": "other"})
    return pairs[NAMES[1:]]


def _into_new(ended: pd.DataFrame, begun: pd.DataFrame) -> pd.DataFrame:
    """Return what ends in pairs, in whose place one as large as both begins in the next frame."""
    pairs = _touching(ended, ended)
    pairs = pairs[pairs["particle"] < pairs["particle_other"]]
    area, other = pairs["before"] ** 2, pairs["before_other"] ** 2
    centres = {n: (pairs[n] * area + pairs[f"{n}_other"] * other) / (area + other) for n in "xy"}
    pairs = pairs.assign(area=area + other, **centres)[
        ["frame", "particle", "particle_other", "x", "y", "area"]
    ]
    new = begun.assign(frame=begun["frame"] - 1).rename(columns={"particle": "other"})
    met = pairs.merge(new, on="frame", suffixes=("", "_new"))
    met["area_share"] = met["after"] ** 2 / met["area"]
    met["distance_px"] = np.hypot(met["x"] - met["x_new"], met["y"] - met["y_new"])
    met = met[met["area_share"].between(*AREA_KEPT)]
    met = met[met["distance_px"] <= OFF_CENTRE * met["reach"] / 2].sort_values("distance_px")
    rows, taken = [], set[int]()
    for one in met.to_dict("records"):
        if taken.isdisjoint(who := {one["particle"], one["particle_other"], one["other"]}):
            taken |= who
            rows += [one, {**one, "particle": one["particle_other"]}]
    return pd.DataFrame(rows, columns=NAMES[1:]).astype(DTYPES)


def _touching(some: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of two different particles that touch in a frame."""
    pairs = some.merge(others, on="frame", suffixes=("", "_other"))
    distance = np.hypot(pairs["x"] - pairs["x_other"], pairs["y"] - pairs["y_other"])
    near = distance <= TOUCHING * (pairs["reach"] + pairs["reach_other"]) / 2
    different = pairs["particle"] != pairs["particle_other"]
    return pairs.assign(distance_px=distance)[near & different]


def _smooth(rows: pd.DataFrame, sign: int) -> NDArray[np.float64]:
    """Return the mean of three known sizes up to each row (-1), or after it (1)."""
    size, particle = rows["size"].to_numpy(float), rows["particle"].to_numpy()
    total, count = np.zeros(len(size)), np.zeros(len(size))
    known = np.flatnonzero(np.isfinite(size))
    after = np.searchsorted(known, np.arange(len(size)), side="right")
    for k in range(SIGHTINGS):
        place = after + (k if sign > 0 else -1 - k)
        there = np.flatnonzero((place >= 0) & (place < len(known)))
        other = known[place[there]]
        same = particle[other] == particle[there]
        total[there[same]] += size[other[same]]
        count[there[same]] += 1
    mean: NDArray[np.float64] = np.full(len(size), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
