"""Where particles went, how long they lived, which were fast and slow (P2, Figs. 9 and 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import axis_note, new_figure, type_colour, whole_ticks
from defectscope.analysis.counting import mean_limits
from defectscope.analysis.scales import scale_of, sighted, unit_names, untracked, with_units
from defectscope.analysis.track_rims import BOX, cut_by_rim
from defectscope.core.track_quality import moving_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trajectories", "lifetime_table", "speeds"]

MOST_BINS = 40
# Trajectories drawn of the fastest and of the slowest particles, and the sightings that they need.
DRAWN, LEAST_SIGHTINGS = 4, 10
# Of more positions the map is a picture, and of more still its paths are not copied out of the
# tracks: they would make files too large to open.
MOST_VECTORS, MOST_POSITIONS = 20_000, 200_000
# The bright end of the colours is hardly seen on white.
DARK_PART = 0.85


def lifetime_table(tracks: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """Return when each particle was first and last seen.

    Parameters
    ----------
    tracks
        ``frame`` and ``particle``.
    frames
        Those of the series: ``frame``, and where they are of several ones ``sequence``.

    Returns
    -------
    DataFrame
        ``particle``, ``first_frame``, ``last_frame``, ``lifetime_frames`` (last - first + 1, P2),
        and ``from_start``, ``to_end``: whether it was there in the first or last frame of its
        series, so that it lived longer than was seen.
    """
    span = tracks.groupby("particle", sort=True)["frame"].agg(["min", "max"])
    table = span.rename(columns={"min": "first_frame", "max": "last_frame"}).reset_index()
    table["lifetime_frames"] = table["last_frame"] - table["first_frame"] + 1
    start, end = _ends(table["first_frame"], frames if len(frames) else tracks)
    table["from_start"] = table["first_frame"] <= start
    table["to_end"] = table["last_frame"] >= end
    return table


def _ends(first: pd.Series, frames: pd.DataFrame) -> tuple[Any, Any]:
    """Return the first and the last frame of the series that each of some frames is of."""
    if "sequence" not in frames:
        return frames["frame"].min(), frames["frame"].max()
    own = first.map(frames.set_index("frame")["sequence"])
    ends = frames.groupby("sequence")["frame"].agg(["min", "max"])
    return own.map(ends["min"]), own.map(ends["max"])


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
        names = dict.fromkeys(("particle", "frame", "x", "y", *moving_columns(tracks)))
        names |= dict.fromkeys(name for name in ("origin", *BOX) if name in tracks)
        ordered = tracks[list(names)].sort_values(["particle", "frame"], kind="stable")
        # In a damaged frame nothing can be seen, so that nothing ends before it.
        seen = tables.frames[tables.frames["status"] == "ok"]
        table = lifetime_table(ordered, seen)
        table["at_rim"] = cut_by_rim(ordered, tables)
        lifetimes = table["lifetime_frames"].to_numpy()
        figure, (left, right) = new_figure(2)
        paths = _paths(ordered, tables)
        _draw_map(left, paths, table, tables)
        # As many whole frames in every bin, or some would stand out for holding one more.
        step = -(-int(lifetimes.max()) // MOST_BINS)
        edges = np.arange(0.5, lifetimes.max() + step + 0.5, step).tolist()
        right.hist(lifetimes, bins=edges, color="#56b4e9")
        right.axvline(lifetimes.mean(), color="k", linewidth=1, linestyle="--")
        right.set(xlabel="Lifetime (frames)", ylabel="Particles")
        axis_note(
            right,
            f"Dashed: mean of {len(lifetimes)} particles, {lifetimes.mean():.1f} frames",
        )
        for axis in (right.xaxis, right.yaxis):
            whole_ticks(axis)
        few = len(paths) <= MOST_POSITIONS
        place = "figures/trajectory-paths.csv" if few else "the tracks of the run"
        found = Finding(
            "trajectories", "Trajectories and lifetimes", table, figure,
            _mean_lifetime(table, len(seen), tables.masked is not None),
            f"The paths are in {place}.",
        )  # fmt: skip
        copy = [Finding("trajectory-paths", "Paths of all particles", paths)] if few else []
        return [found, *copy, *_fast_and_slow(ordered, tables)]

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        return untracked(tables)


def _paths(ordered: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return the positions of particles in the frame, in nm where the pixel size is known."""
    scale = scale_of(tables.calibration)
    paths = ordered[["particle", "frame", "x", "y"]].reset_index(drop=True)
    paths[["x", "y"]] *= scale.length
    return with_units(paths, dict.fromkeys(("x", "y"), scale.length_unit))


def _draw_map(panel: Axes, paths: pd.DataFrame, lifetimes: pd.DataFrame, tables: Tables) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap

    starts = np.flatnonzero(np.diff(paths["particle"].to_numpy(), prepend=-1))
    at = paths.iloc[:, 2:].to_numpy(float)
    shades = ListedColormap(colormaps["viridis"](np.linspace(0, DARK_PART, 256)))
    first = lifetimes["first_frame"].to_numpy(float)
    lines = LineCollection(np.split(at, starts[1:]), linewidths=0.8, cmap=shades)
    lines.set_array(first)
    panel.add_collection(lines)
    # Most move by less than a line is wide: without a dot they would not be seen.
    dots = panel.scatter(at[starts, 0], at[starts, 1], s=5, c=first, cmap=shades, linewidths=0)
    for drawn in (lines, dots):
        drawn.set_rasterized(len(paths) > MOST_VECTORS)
    figure = panel.get_figure()
    assert figure is not None
    bar = figure.colorbar(lines, ax=panel, label="First frame")
    if first.min() < first.max():
        whole_ticks(bar.ax.yaxis)
    else:  # a scale about the only one would name frames in which none begins
        for drawn in (lines, dots):
            drawn.set_clim(first[0] - 0.5, first[0] + 0.5)
        bar.set_ticks([first[0]], labels=[f"{first[0]:.0f}"])
    scale, frames = scale_of(tables.calibration), tables.frames
    width, height = (scale.length * float(frames[n].max()) for n in ("width_px", "height_px"))
    unit = scale.length_unit
    panel.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", xlim=(0, width), ylim=(height, 0))
    panel.set_aspect("equal")
    axis_note(panel, "Dots: first sightings")


def _mean_lifetime(table: pd.DataFrame, frames: int, masked: bool) -> tuple[KeyNumber, ...]:
    """Return the mean lifetime as seen; none where there was one frame to live in.

    Limits are those of whole lives alone: how long those lived that an end of the series, the
    rim of the field or a mask cuts is not known, and the mean of all is then too small by more
    than any limits say.
    """
    if frames < 2:
        return ()
    lifetimes = table["lifetime_frames"].to_numpy(float)
    mean, n = float(lifetimes.mean()), len(lifetimes)
    causes = {
        "an end of the series": table["from_start"] | table["to_end"],
        "the rim of the field" + (", or a mask" if masked else ""): table["at_rim"],
    }
    cut = int(np.logical_or.reduce(list(causes.values())).sum())
    if cut:
        by = " or ".join(cause for cause, own in causes.items() if own.any())
        label = f"Mean lifetime as seen, {cut} of {n} cut by {by}"
        return (KeyNumber(label, mean, "frames"),)
    error = float(lifetimes.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan
    low, high = (float(v) for v in mean_limits(mean, error, n))
    limits = (low, high) if error > 0 else (None, None)
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
    rows, paths = sighted(tracks), []
    chosen = {"Slowest": enough["particle"][:drawn], "Fastest": enough["particle"][-drawn:]}
    for panel, (title, particles) in zip(panels, chosen.items(), strict=True):
        for k, particle in enumerate(particles):
            own = rows[rows["particle"] == particle]
            at = scale.length * own[moving_columns(own)].to_numpy(float)
            at = (at - at[0]) * (1, -1) + 0.0  # no zero with a sign
            panel.plot(*at.T, linewidth=0.9, color=type_colour(k), label=particle)
            path = {"group": title.lower(), "particle": particle, "frame": own["frame"]}
            paths.append(pd.DataFrame(path | {"x_from_start": at[:, 0], "up_from_start": at[:, 1]}))
        unit = scale.length_unit
        panel.set(title=title, xlabel=f"x from start ({unit})", ylabel=f"up from start ({unit})")
        panel.set_aspect("equal", adjustable="datalim")
        panel.legend(frameon=False, fontsize="small", title="Particle")
    units = dict.fromkeys(("x_from_start", "up_from_start"), scale.length_unit)
    speed = {"speed": f"{scale.length_unit}/{scale.time_unit}"}
    name = unit_names(speed, speed)["speed"]
    table[name] = table["speed_px_per_frame"] * scale.length / scale.time
    title, note = "Fastest and slowest trajectories", "Paths: figures/fast-and-slow-paths.csv."
    return [
        Finding("fast-and-slow", title, table, figure, note=note),
        Finding(
            "fast-and-slow-paths", title, with_units(pd.concat(paths, ignore_index=True), units)
        ),
    ]
