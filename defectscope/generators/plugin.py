"""Registers the shipped backgrounds and generators."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_backgrounds() -> list[ComponentSpec]:
    """Return the shipped backgrounds."""
    return [
        ComponentSpec(
            "texture",
            "Grey texture of a thin foil: grain of two sizes on uneven illumination.",
            "defectscope.generators.texture:Texture",
        ),
        ComponentSpec(
            "foil",
            "Mottled, stretched and patchy grain as in damaged foils, different in every image.",
            "defectscope.generators.foil:Foil",
        ),
        ComponentSpec(
            "perlin",
            "Two Perlin noises and smoothed white noise (Govind et al., eqs. 1-6).",
            "defectscope.generators.perlin_background:Perlin",
        ),
        ComponentSpec(
            "images",
            "Two patches of your own defect-free images, laid over each other.",
            "defectscope.generators.image_background:ImagePatches",
        ),
    ]


@hookimpl
def defectscope_generators() -> list[ComponentSpec]:
    """Return the shipped generators."""
    return [
        ComponentSpec(
            "dislocations",
            "Dislocation lines in pile-ups on slip traces (Govind et al., sections 2.3, 2.4).",
            "defectscope.generators.dislocations:Dislocations",
        ),
        ComponentSpec(
            "moving-dislocations",
            "Sequences of a pile-up that glides and is compressed (Govind et al., section 6).",
            "defectscope.generators.moving_dislocations:MovingDislocations",
        ),
        ComponentSpec(
            "twin",
            "Synthetic twins of labelled images: the same lines, drawn (Govind et al., Fig. 14).",
            "defectscope.generators.twin:Twin",
        ),
        ComponentSpec(
            "loops",
            "Still images of a/2<111> and a<100> loops, black dots and filled dark loops.",
            "defectscope.generators.loops:Loops",
        ),
        ComponentSpec(
            "in-situ-loops",
            "Dislocation loops that nucleate, grow and wander under a drifting stage.",
            "defectscope.generators.insitu_loops:InSituLoops",
        ),
    ]
