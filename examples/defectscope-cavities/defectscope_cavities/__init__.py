"""Cavities for defectscope: the hooks, and nothing that takes time to import."""

from __future__ import annotations

from defectscope import ComponentSpec, DefectType, hookimpl

__all__ = [
    "CAVITY",
    "defectscope_analyses",
    "defectscope_defect_types",
    "defectscope_generators",
    "defectscope_postprocessors",
]

# The version of the plugin interface that this was written for.
defectscope_api = "1.0"

CAVITY = DefectType(
    "cavity",
    "Cavity",
    shape="ellipse",
    size_definition="equivalent-diameter",
    contrast="bright",
    colour="#0072b2",
)


@hookimpl
def defectscope_defect_types() -> list[DefectType]:
    """Return the defect type."""
    return [CAVITY]


@hookimpl
def defectscope_generators() -> list[ComponentSpec]:
    """Return the generator."""
    return [
        ComponentSpec(
            "cavities",
            "Cavities with Fresnel fringes; a sequence goes through focus.",
            "defectscope_cavities.generator:Cavities",
        )
    ]


@hookimpl
def defectscope_postprocessors() -> list[ComponentSpec]:
    """Return the post-processor."""
    return [
        ComponentSpec(
            "cavity-fringe",
            "Radius of a cavity from its Fresnel fringe.",
            "defectscope_cavities.fringe:CavityFringe",
        )
    ]


@hookimpl
def defectscope_analyses() -> list[ComponentSpec]:
    """Return the analysis."""
    return [
        ComponentSpec(
            "swelling",
            "Volume swelling by cavities, with the error of counting.",
            "defectscope_cavities.swelling:Swelling",
        )
    ]
