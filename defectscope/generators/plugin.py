"""Registers the shipped backgrounds and generators."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_backgrounds() -> list[ComponentSpec]:
    """Return the shipped backgrounds."""
    return [
        ComponentSpec(
            "texture",
            "Grey texture of a thin foil: grain of two sizes, shot noise, uneven illumination.",
            "defectscope.generators.texture:Texture",
        ),
    ]


@hookimpl
def defectscope_generators() -> list[ComponentSpec]:
    """Return the shipped generators."""
    return [
        ComponentSpec(
            "in-situ-loops",
            "Dislocation loops that nucleate, grow and wander under a drifting stage.",
            "defectscope.generators.insitu_loops:InSituLoops",
        ),
    ]
