"""Registers the shipped weights."""

from __future__ import annotations

from pathlib import Path

from defectscope import ComponentSpec, hookimpl

__all__ = ["lines", "loops"]


@hookimpl
def defectscope_weights() -> list[ComponentSpec]:
    """Return the shipped weights."""
    return [
        ComponentSpec(
            "loops",
            "Dislocation loops in bright field, dark and filled; learned from synthetic images.",
            "defectscope.weights.plugin:loops",
        ),
        ComponentSpec(
            "lines",
            "Dislocation lines on computed and real backgrounds; learned from synthetic lines.",
            "defectscope.weights.plugin:lines",
        ),
    ]


def loops() -> Path:
    """Return the weights of ``heatmap`` for dislocation loops."""
    return Path(__file__).with_name("heatmap-loops.safetensors")


def lines() -> Path:
    """Return the weights of ``line-tracer`` for dislocation lines."""
    return Path(__file__).with_name("line-tracer-lines.safetensors")
