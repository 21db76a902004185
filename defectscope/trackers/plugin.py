"""Registers the shipped trackers."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_trackers() -> list[ComponentSpec]:
    """Return the shipped trackers."""
    return [
        ComponentSpec(
            "trackpy",
            "Crocker-Grier linking of nearest neighbours (trackpy), the same at every run.",
            "defectscope.trackers.trackpy_linker:Trackpy",
        ),
        ComponentSpec(
            "loops",
            "trackpy set up for loops: drift and jumps removed, gaps closed and filled, no stubs.",
            "defectscope.trackers.trackpy_linker:Loops",
        ),
        ComponentSpec(
            "laptrack",
            "Linear assignment from frame to frame and across gaps (extra laptrack); slower.",
            "defectscope.trackers.laptrack_linker:LapTracker",
            extra="laptrack",
        ),
        ComponentSpec(
            "lines",
            "Links dislocation lines by the distance of their curves, not of their centroids.",
            "defectscope.trackers.line_linker:Lines",
        ),
    ]
