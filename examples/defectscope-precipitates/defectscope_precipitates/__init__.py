"""Precipitates for defectscope: the hooks, and nothing that takes time to import."""

from __future__ import annotations

from defectscope import ComponentSpec, DefectType, ReaderSpec, hookimpl

__all__ = [
    "PRECIPITATE",
    "defectscope_defect_types",
    "defectscope_readers",
    "defectscope_trackers",
]

# The version of the plugin interface that this was written for.
defectscope_api = "1.0"

PRECIPITATE = DefectType(
    "precipitate",
    "Precipitate",
    shape="ellipse",
    size_definition="equivalent-diameter",
    contrast="bright",
    colour="#009e73",
)


@hookimpl
def defectscope_defect_types() -> list[DefectType]:
    """Return the defect type."""
    return [PRECIPITATE]


@hookimpl
def defectscope_readers() -> list[ReaderSpec]:
    """Return the reader, and the files that it takes."""
    return [
        ReaderSpec(
            "element-map",
            "Maps of elements as text, one line a row of pixels.",
            "defectscope_precipitates.element_map:ElementMapReader",
            suffixes=(".map.csv",),
        )
    ]


@hookimpl
def defectscope_trackers() -> list[ComponentSpec]:
    """Return the tracker."""
    return [
        ComponentSpec(
            "overlap",
            "Links boxes that overlap most; for what grows but does not move.",
            "defectscope_precipitates.overlap:OverlapTracker",
        )
    ]
