"""How far each track can be trusted: sightings, gaps, jumps, and with whom it merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["moving_columns", "track_events", "track_quality"]

# Sightings below which a track says nothing about growth or movement.
STUB_SIGHTINGS = 3
# A track found in fewer of its frames than this is patchy.
LEAST_FOUND = 0.5
# A step is a jump when it is so many times the typical step, and longer than this, px.
JUMP_FACTOR, LEAST_JUMP_PX = 8.0, 3.0
# Gap between two outlines, as a share of the sum of both radii, at which two loops touch.
TOUCHING = 1.2
# Share of the area of the one that ends (or begins) by which the other must grow (or shrink).
AREA_SHARE = 0.5
# Sightings that say how large a particle is before and after.
SIGHTINGS = 3


def moving_columns(tracks: pd.DataFrame) -> list[str]:
    """Return the names of the position columns without the stage's movement, where known."""
    corrected = ["x_corrected", "y_corrected"]
    return corrected if set(corrected) <= set(tracks.columns) else ["x", "y"]


def track_quality(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return how each particle was found.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y``; ``origin`` where gaps were filled.

    Returns
    -------
    DataFrame
        ``particle``, ``sightings`` (rows that were not interpolated), ``interpolated``, ``gaps``
        and ``longest_gap`` (frame indices without sighting between two), ``found_share`` (sightings
        by frames from the first to the last), ``largest_step_px`` (longest way between successive
        sightings) and ``jumps`` (steps that are more than 3 px and 8 times the median step of
        all), and ``quality``: ``filled`` (never seen: a vote filled what is now a track of its
        own), ``single`` (seen once), ``stub`` (fewer than 3 times), ``patchy``
        (found in less than half of its frames), ``jumping``, else ``good``.
    """
    particle, frame = tracks["particle"].to_numpy(), tracks["frame"].to_numpy(np.int64)
    names, rows = np.unique(particle, return_counts=True)
    order = np.lexsort((frame, particle))
    if "origin" in tracks:
        order = order[(tracks["origin"] != "interpolated").to_numpy()[order]]
    particle, frame = particle[order], frame[order]
    at = tracks[moving_columns(tracks)].to_numpy(float)[order]
    own = np.searchsorted(names, particle)
    same = particle[1:] == particle[:-1]
    step = np.hypot(*np.diff(at, axis=0).T)[same]
    gap = (np.diff(frame) - 1)[same]
    of = own[1:][same]
    sightings = np.bincount(own, minlength=len(names))
    table = pd.DataFrame({"particle": names, "sightings": sightings})
    table["interpolated"] = rows - sightings
    table["gaps"] = np.bincount(of[gap > 0], minlength=len(names))
    table["longest_gap"] = _largest(gap.astype(float), of, len(names)).astype(np.int64)
    end = np.cumsum(sightings)
    seen = sightings > 0
    life = np.ones(len(names), np.int64)
    life[seen] = frame[end[seen] - 1] - frame[(end - sightings)[seen]] + 1
    table["found_share"] = sightings / life
    table["largest_step_px"] = _largest(step, of, len(names))
    typical = float(np.median(step)) if len(step) else 0.0
    jumped = step > max(LEAST_JUMP_PX, JUMP_FACTOR * typical)
    table["jumps"] = np.bincount(of[jumped], minlength=len(names))
    table["quality"] = np.select(
        [
            ~seen,
            sightings == 1,
            sightings < STUB_SIGHTINGS,
            table["found_share"] < LEAST_FOUND,
            table["jumps"] > 0,
        ],
        ["filled", "single", "stub", "patchy", "jumping"],
        "good",
    )
    return table


def _largest(values: NDArray[np.float64], of: NDArray[Any], number: int) -> NDArray[np.float64]:
    largest = np.zeros(number)
    np.maximum.at(largest, of, values)
    return largest


def track_events(tracks: pd.DataFrame, last_frame: int | None = None) -> pd.DataFrame:
    """Return merges and splits, as sizes and places tell of them.

    Parameters
    ----------
    tracks
        ``frame``, ``particle``, ``x``, ``y`` and ``diameter_px`` or ``major_px``; without sizes
        nothing can be told.
    last_frame
        Of the series; tracks that end there have no end.

    Returns
    -------
    DataFrame
        ``kind`` (``merge`` or ``split``), ``frame`` (the first in which both are one, or two),
        ``particle`` (the one that ended or began), ``other`` (the one that went on),
        ``distance_px`` and ``area_share`` (growth of the other by area of this one; 1 where the
        area is kept).

    Notes
    -----
    A track of at least three sightings merges into another when the other goes on, both touched in
    the frame before, and the other has grown by at least half the area of the one that ended; a
    split is the same in reverse.
    """
    names = ["kind", "frame", "particle", "other", "distance_px", "area_share"]
    size = next((n for n in ("diameter_px", "major_px") if n in tracks), None)
    nothing = pd.DataFrame({name: pd.Series(dtype=float) for name in names})
    if size is None or tracks.empty:
        return nothing.astype({"kind": "str", "frame": int, "particle": int, "other": int})
    columns = moving_columns(tracks)
    rows = tracks[["frame", "particle", *columns, size]].copy()
    rows.columns = pd.Index(["frame", "particle", "x", "y", "size"])
    rows = rows.dropna().sort_values(["particle", "frame"], kind="stable", ignore_index=True)
    last = int(tracks["frame"].max()) if last_frame is None else last_frame
    first = int(tracks["frame"].min())
    backwards = rows.assign(frame=-rows["frame"])[::-1].reset_index(drop=True)
    found = [_events(rows, "merge", last, 1), _events(backwards, "split", -first, -1)]
    return pd.concat(found, ignore_index=True).sort_values(
        ["frame", "particle"], kind="stable", ignore_index=True
    )[names]


def _events(rows: pd.DataFrame, kind: str, last: int, sign: int) -> pd.DataFrame:
    """Find tracks that end beside another that grows; a split is that with time turned round."""
    groups = rows.groupby("particle", sort=True)
    length = groups["frame"].transform("size").to_numpy()
    from_end = groups.cumcount(ascending=False).to_numpy()
    ended = rows[(from_end == 0) & (length >= STUB_SIGHTINGS) & (rows["frame"] < last).to_numpy()]
    ended = ended.assign(size=_recent(rows, ended))
    pairs = ended.merge(rows.assign(before=_smooth(rows, -1), after=_smooth(rows, 1),
                                    from_end=from_end, length=length),
                        on="frame", suffixes=("", "_other"))  # fmt: skip
    pairs = pairs[(pairs["particle"] != pairs["particle_other"]) & (pairs["from_end"] >= 1)]
    pairs = pairs[pairs["length"] >= 2 * STUB_SIGHTINGS]
    distance = np.hypot(pairs["x"] - pairs["x_other"], pairs["y"] - pairs["y_other"])
    pairs = pairs.assign(
        distance_px=distance,
        area_share=(pairs["after"] ** 2 - pairs["before"] ** 2) / pairs["size"] ** 2,
    )
    touching = distance <= TOUCHING * (pairs["size"] + pairs["size_other"]) / 2
    pairs = pairs[touching & (pairs["area_share"] >= AREA_SHARE)]
    best = pairs.sort_values(["particle", "distance_px"]).drop_duplicates("particle")
    return pd.DataFrame(
        {
            "kind": kind,
            "frame": sign * best["frame"].to_numpy() + (1 if sign > 0 else 0),
            "particle": best["particle"].to_numpy(),
            "other": best["particle_other"].to_numpy(),
            "distance_px": best["distance_px"].to_numpy(),
            "area_share": best["area_share"].to_numpy(),
        }
    )


def _recent(rows: pd.DataFrame, ended: pd.DataFrame) -> NDArray[np.float64]:
    return np.asarray(_smooth(rows, -1)[rows.index.get_indexer(ended.index)])


def _smooth(rows: pd.DataFrame, sign: int) -> NDArray[np.float64]:
    """Return the mean size of three sightings up to each row (-1), or after it (1)."""
    size, particle = rows["size"].to_numpy(float), rows["particle"].to_numpy()
    total, count = np.zeros(len(size)), np.zeros(len(size))
    for k in range(SIGHTINGS):
        step = sign * (k + (1 if sign > 0 else 0))
        other = np.clip(np.arange(len(size)) + step, 0, len(size) - 1)
        same = (particle[other] == particle) & (other - np.arange(len(size)) == step)
        total += np.where(same, size[other], 0.0)
        count += same
    mean: NDArray[np.float64] = np.full(len(size), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
