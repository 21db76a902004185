"""Where particles went and how long they lived (P2, Fig. 10)."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection

from defectscope import Analysis, Finding, Tables
from defectscope.analysis.axes import new_figure

__all__ = ["Trajectories"]

MOST_BINS = 40


class Trajectories(Analysis):
    """Map of trajectories, coloured by the first frame, and the distribution of lifetimes."""

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return one finding; none where nothing was tracked."""
        tracks = tables.tracks
        if tracks is None or tracks.empty:
            return []
        ordered = tracks.sort_values(["particle", "frame"], kind="stable")
        groups = ordered.groupby("particle", sort=True)
        span = groups["frame"].agg(["min", "max"])
        lifetimes = (span["max"] - span["min"] + 1).to_numpy()
        figure, (left, right) = new_figure(2)
        paths = [rows[["x", "y"]].to_numpy() for _, rows in groups]
        lines = LineCollection(paths, linewidths=0.8, cmap="viridis")
        lines.set_array(span["min"].to_numpy(float))
        left.add_collection(lines)
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
        table = span.rename(columns={"min": "first_frame", "max": "last_frame"}).reset_index()
        table["lifetime_frames"] = lifetimes
        return [Finding("trajectories", "Trajectories and lifetimes", table, figure)]
