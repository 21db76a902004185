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
            "defect-types",
            "Defect types side by side: fractions, mean diameters, areal densities.",
            "defectscope.analysis.defect_classes:DefectClasses",
        ),
        ComponentSpec(
            "trajectories",
            "Map of trajectories, lifetimes, and the fastest and slowest particles.",
            "defectscope.analysis.trajectories:Trajectories",
        ),
        ComponentSpec(
            "survival",
            "How long particles live, with those whose end was not seen; how many come and go.",
            "defectscope.analysis.survival:Survival",
        ),
        ComponentSpec(
            "track-quality",
            "Sightings, gaps and jumps of tracks; merges and splits.",
            "defectscope.analysis.track_report:TrackReport",
        ),
        ComponentSpec(
            "growth",
            "Size of single particles against dose with growth laws; growth rates of all.",
            "defectscope.analysis.growth:Growth",
        ),
        ComponentSpec(
            "diffusion",
            "Effective diffusion by size; D of all from the mean squared displacement.",
            "defectscope.analysis.diffusion:Diffusion",
        ),
        ComponentSpec(
            "hardening",
            "Dispersed-barrier hardening against dose, with its error.",
            "defectscope.analysis.hardening:Hardening",
        ),
        ComponentSpec(
            "cavity-swelling",
            "Swelling by cavities against dose, with its error.",
            "defectscope.analysis.swelling:Swelling",
        ),
        ComponentSpec(
            "line-density",
            "Length of dislocations by area and by volume, with 95 % limits; how long lines are.",
            "defectscope.analysis.line_density:LineDensity",
        ),
        ComponentSpec(
            "line-spacing",
            "Mean distance of neighbouring dislocations of each pile-up against dose or time.",
            "defectscope.analysis.line_spacing:LineSpacing",
        ),
        ComponentSpec(
            "line-motion",
            "Velocity and curvature of tracked dislocations against dose or time.",
            "defectscope.analysis.line_motion:LineMotion",
        ),
    ]
