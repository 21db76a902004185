"""Where particles went, how long they lived, which were fast and slow (P2, Figs. 9 and 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import new_figure, type_colour
from defectscope.analysis.counting import mean_limits
from defectscope.analysis.scales import scale_of, sighted
from defectscope.core.track_quality import moving_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Trajectories", "lifetime_table", "speeds"]

MOST_BINS = 40
# Trajectories drawn of the fastest and of the slowest particles, and the sightings that they need.
DRAWN, LEAST_SIGHTINGS = 4, 10


def lifetime_table(tracks: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return when each particle was first and last seen.

    Returns
    -------
    DataFrame
        ``particle``, ``first_frame``, ``last_frame``, ``lifetime_frames`` (last - first + 1, P2),
        and ``from_start``, ``to_end``: whether it was there in the first or last frame of the
        series, so that it lived longer than was seen.
    """
    span = tracks.groupby("particle", sort=True)["frame"].agg(["min", "max"])
    table = span.rename(columns={"min": "first_frame", "max": "last_frame"}).reset_index()
    table["lifetime_frames"] = table["last_frame"] - table["first_frame"] + 1
    known = frames["frame"] if len(frames) else tracks["frame"]
    table["from_start"] = table["first_frame"] <= known.min()
    table["to_end"] = table["last_frame"] >= known.max()
    return table


def speeds(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return how fast each particle moved.

    Returns
    -------
    DataFrame
        ``particle``, ``sightings``, ``speed_px_per_frame``: the mean way between successive
        sightings by frames, without the stage's movement where that is known.
    """
    rows = sighted(tracks)
    particle = rows["particle"].to_numpy()
    names, own, count = np.unique(particle, return_inverse=True, return_counts=True)
    way = np.hypot(*np.diff(rows[moving_columns(rows)].to_numpy(float), axis=0).T)
    frames = np.diff(rows["frame"].to_numpy(np.int64))
    same = particle[1:] == particle[:-1]
    total = np.bincount(own[1:][same], way[same], minlength=len(names))
    passed = np.bincount(own[1:][same], frames[same], minlength=len(names))
    speed = np.divide(total, passed, out=np.full(len(names), np.nan), where=passed > 0)
    return pd.DataFrame({"particle": names, "sightings": count, "speed_px_per_frame": speed})


class Trajectories(Analysis):
    """Map of trajectories, distribution of lifetimes, and the fastest and slowest particles."""

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return up to two findings; none where nothing was tracked."""
        tracks = tables.tracks
        if tracks is None or tracks.empty:
            return []
        from matplotlib.collections import LineCollection

        names = dict.fromkeys(("particle", "frame", "x", "y", *moving_columns(tracks)))
        names |= dict.fromkeys(["origin"] if "origin" in tracks else [])
        ordered = tracks[list(names)].sort_values(["particle", "frame"], kind="stable")
        table = lifetime_table(ordered, tables.frames)
        lifetimes = table["lifetime_frames"].to_numpy()
        figure, (left, right) = new_figure(2)
        starts = np.flatnonzero(np.diff(ordered["particle"].to_numpy())) + 1
        paths = np.split(ordered[["x", "y"]].to_numpy(float), starts)
        lines = LineCollection(paths, linewidths=0.8, cmap="viridis")
        lines.set_array(table["first_frame"].to_numpy(float))
        left.add_collection(lines)
        # Of very many, a picture: they would make the vector figures too large to open.
        lines.set_rasterized(len(ordered) > 20_000)
        figure.colorbar(lines, ax=left, label="First frame")
        frames = tables.frames
        width, height = float(frames["width_px"].max()), float(frames["height_px"].max())
        left.set(xlabel="x (px)", ylabel="y (px)", xlim=(0, width), ylim=(height, 0))
        left.set_aspect("equal")
        # As many whole frames in every bin, or some would stand out for holding one more.
        step = -(-int(lifetimes.max()) // MOST_BINS)
        edges = np.arange(0.5, lifetimes.max() + step + 0.5, step).tolist()
        right.hist(lifetimes, bins=edges, color="#56b4e9")
        right.axvline(lifetimes.mean(), color="k", linewidth=1, linestyle="--")
        right.set(
            xlabel="Lifetime (frames)",
            ylabel="Particles",
            title=f"{len(lifetimes)} particles, mean lifetime {lifetimes.mean():.1f} frames",
        )
        found = Finding(
            "trajectories", "Trajectories and lifetimes", table, figure, _mean_lifetime(lifetimes)
        )
        return [found, *_fast_and_slow(ordered, tables)]


def _mean_lifetime(lifetimes: NDArray[np.int64]) -> tuple[KeyNumber, ...]:
    mean, n = float(lifetimes.mean()), len(lifetimes)
    error = float(lifetimes.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
    low, high = (float(v) for v in mean_limits(mean, error, n))
    limits = (low, high) if np.isfinite(low) else (None, None)
    return (KeyNumber("Mean lifetime", mean, "frames", *limits),)


def _fast_and_slow(tracks: pd.DataFrame, tables: Tables) -> list[Finding]:
    table = speeds(tracks)
    enough = table[table["sightings"] >= LEAST_SIGHTINGS].sort_values(
        "speed_px_per_frame", kind="stable"
    )
    if len(enough) < 2:
        return []
    drawn = min(DRAWN, len(enough) // 2)
    scale = scale_of(tables.calibration)
    figure, panels = new_figure(2)
    rows = sighted(tracks)
    chosen = {"Slowest": enough["particle"][:drawn], "Fastest": enough["particle"][-drawn:]}
    for panel, (title, particles) in zip(panels, chosen.items(), strict=True):
        for k, particle in enumerate(particles):
            own = rows[rows["particle"] == particle]
            at = scale.length * own[moving_columns(own)].to_numpy(float)
            at -= at[0]
            panel.plot(at[:, 0], -at[:, 1], linewidth=0.9, color=type_colour(k), label=particle)
        unit = scale.length_unit
        panel.set(title=title, xlabel=f"x from start ({unit})", ylabel=f"up from start ({unit})")
        panel.set_aspect("equal", adjustable="datalim")
        panel.legend(frameon=False, fontsize="small", title="Particle")
    title = "Fastest and slowest trajectories"
    return [Finding("fast-and-slow", title, table, figure)]
