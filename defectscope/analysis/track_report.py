"""How far tracks can be trusted, and which of them merged or split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope import Analysis, Finding, KeyNumber, Tables
from defectscope.analysis.axes import axis_note, new_figure, type_colour, whole_ticks
from defectscope.analysis.scales import untracked
from defectscope.core.track_events import track_events
from defectscope.core.track_quality import track_quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrackReport"]


class TrackReport(Analysis):
    """Sightings, gaps and jumps of every track, and merges and splits."""

    def analyse(self, tables: Tables) -> list[Finding]:
        """Return up to two findings; none where nothing was tracked."""
        tracks = tables.tracks
        if tracks is None or tracks.empty:
            return []
        looked_at = tables.frames.loc[tables.frames["status"] == "ok", "frame"]
        table = track_quality(tracks, looked_at=looked_at)
        longest = table.loc[table["gaps"] > 0, "longest_gap"].to_numpy()
        figure, (left, *right) = new_figure(2 if len(longest) else 1)
        kinds = table["quality"].value_counts()
        names = [
            k for k in ("good", "jumping", "patchy", "stub", "single", "filled") if k in kinds.index
        ]
        places = np.arange(len(names))
        left.bar(places, kinds[names], color=type_colour(1))
        left.set_xticks(places, names)
        left.set(ylabel="Particles")
        whole_ticks(left.yaxis)
        if right:
            _draw_gaps(right[0], longest)
        else:
            axis_note(left, "No track has a gap")
        rows = len(tracks)
        events = track_events(tracks, looked_at)
        # Two that become a new one have a row each.
        once = events.drop_duplicates(["kind", "frame", "other"])
        numbers = (
            KeyNumber("Particles", float(len(table))),
            KeyNumber("Particles seen once only", float((table["quality"] == "single").sum())),
            KeyNumber("Rows filled in between sightings",
                      float(100 * table["interpolated"].sum() / rows), "%"),
            KeyNumber("Merges of particles", float((once["kind"] == "merge").sum())),
            KeyNumber("Splits of particles", float((once["kind"] == "split").sum())),
        )  # fmt: skip
        found = [Finding("track-quality", "Quality of tracks", table, figure, numbers)]
        if len(events):
            found.append(Finding("track-events", "Merges and splits", events))
        return found

    def why_nothing(self, tables: Tables) -> str:
        """Return what the tables lack."""
        return untracked(tables)


def _draw_gaps(panel: Axes, longest: np.ndarray) -> None:
    """Draw how many tracks have which longest gap, frames."""
    step = -(-int(longest.max()) // 40)
    edges = np.arange(0.5, longest.max() + step + 0.5, step).tolist()
    panel.hist(longest, edges, color=type_colour(0))
    panel.set(xlabel="Longest gap of a track (frames)", ylabel="Particles")
    for axis in (panel.xaxis, panel.yaxis):
        whole_ticks(axis)
