"""Registers the shipped post-processors."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_postprocessors() -> list[ComponentSpec]:
    """Return the shipped post-processors."""
    return [
        ComponentSpec(
            "watershed-ellipse",
            "Segments each loop or dot inside its box by watershed, and fits an ellipse to it.",
            "defectscope.postproc.watershed_ellipse:WatershedEllipse",
        ),
        ComponentSpec(
            "skeleton-spline",
            "Course, length, curvature and ends of each line, by a spline through its skeleton.",
            "defectscope.postproc.skeleton_spline:SkeletonSpline",
        ),
        ComponentSpec(
            "deduplicate",
            "Drops masks of lines that are empty, tiny, or the same as a better one.",
            "defectscope.postproc.deduplicate:Deduplicate",
        ),
    ]
