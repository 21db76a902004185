"""Registers the shipped analyses."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_analyses() -> list[ComponentSpec]:
    """Return the shipped analyses."""
    return [
        ComponentSpec(
            "number-density",
            "Number, areal and volume density against dose or time, with counting errors.",
            "defectscope.analysis.density:NumberDensity",
        ),
        ComponentSpec(
            "size-distribution",
            "Sizes: histogram by defect type, median and quartiles against dose or time.",
            "defectscope.analysis.sizes:SizeDistribution",
        ),
        ComponentSpec(
            "trajectories",
            "Map of trajectories and distribution of lifetimes.",
            "defectscope.analysis.trajectories:Trajectories",
        ),
    ]
