"""Registers the shipped weights."""

from __future__ import annotations

from pathlib import Path

from defectscope import ComponentSpec, hookimpl

__all__ = [
    "faster_rcnn_loops",
    "faster_rcnn_types",
    "lines",
    "loops",
    "types",
    "unetpp_lines",
    "yolov3_tiny_loops",
]


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
            "types",
            "a/2<111> and a<100> loops and black dots in STEM; learned from synthetic images.",
            "defectscope.weights.plugin:types",
        ),
        ComponentSpec(
            "lines",
            "Dislocation lines on computed and real backgrounds; learned from synthetic lines.",
            "defectscope.weights.plugin:lines",
        ),
        ComponentSpec(
            "unetpp-lines",
            "Dislocation lines, a mask for each, for unetpp; learned from synthetic lines.",
            "defectscope.weights.plugin:unetpp_lines",
            licence="MIT AND Apache-2.0",
        ),
        ComponentSpec(
            "faster-rcnn-loops",
            "Dislocation loops in bright field for faster-rcnn; learned from synthetic images.",
            "defectscope.weights.plugin:faster_rcnn_loops",
        ),
        ComponentSpec(
            "faster-rcnn-types",
            "Loops of two types and black dots in STEM, for faster-rcnn; from synthetic images.",
            "defectscope.weights.plugin:faster_rcnn_types",
        ),
        ComponentSpec(
            "yolov3-tiny-loops",
            "Dislocation loops in bright field for yolov3; learned from synthetic images.",
            "defectscope.weights.plugin:yolov3_tiny_loops",
            licence="AGPL-3.0-only",
        ),
    ]


def loops() -> Path:
    """Return the weights of ``heatmap`` for dislocation loops."""
    return Path(__file__).with_name("heatmap-loops.safetensors")


def types() -> Path:
    """Return the weights of ``heatmap`` for loops of two types and black dots."""
    return Path(__file__).with_name("heatmap-types.safetensors")


def lines() -> Path:
    """Return the weights of ``line-tracer`` for dislocation lines."""
    return Path(__file__).with_name("line-tracer-lines.safetensors")


def unetpp_lines() -> Path:
    """Return the weights of ``unetpp`` for dislocation lines.

    Its encoder began with EfficientNet-Lite0 of ImageNet, which is under the Apache License 2.0.
    """
    return Path(__file__).with_name("unetpp-lines.safetensors")


def faster_rcnn_loops() -> Path:
    """Return the weights of ``faster-rcnn`` for dislocation loops."""
    return Path(__file__).with_name("faster-rcnn-loops.safetensors")


def faster_rcnn_types() -> Path:
    """Return the weights of ``faster-rcnn`` for loops of two types and black dots."""
    return Path(__file__).with_name("faster-rcnn-types.safetensors")


def yolov3_tiny_loops() -> Path:
    """Return the weights of ``yolov3`` for dislocation loops.

    Trained with ultralytics, whose owners hold that weights so trained are under its AGPL-3.0.
    """
    return Path(__file__).with_name("yolov3-tiny-loops.safetensors")
