"""Registers the shipped detectors."""

from __future__ import annotations

from defectscope import ComponentSpec, hookimpl


@hookimpl
def defectscope_detectors() -> list[ComponentSpec]:
    """Return the shipped detectors."""
    return [
        ComponentSpec(
            "dark-blobs",
            "Classical baseline without training: dark (or bright) blobs on a textured background.",
            "defectscope.detectors.dark_blobs:DarkBlobs",
        ),
        ComponentSpec(
            "faster-rcnn",
            "Faster R-CNN of torchvision (Shen et al.), one or several types; needs no torch.",
            "defectscope.detectors.faster_rcnn.detector:FasterRcnn",
        ),
        ComponentSpec(
            "faster-rcnn-detectron2",
            "Faster R-CNN of detectron2; detectron2.readthedocs.io says how to install that.",
            "defectscope.detectors.faster_rcnn_detectron2.detector:FasterRcnnDetectron2",
        ),
        ComponentSpec(
            "heatmap",
            "Compact learned detector of loops, trained on synthetic images; needs no torch.",
            "defectscope.detectors.heatmap.detector:Heatmap",
        ),
        ComponentSpec(
            "line-tracer",
            "Dislocation lines one by one, any number, also where they cross; needs no torch.",
            "defectscope.detectors.line_tracer.detector:LineTracer",
        ),
        ComponentSpec(
            "unetpp",
            "U-Net++ with a fixed number of masks, one a line (Govind et al.); needs no torch.",
            "defectscope.detectors.unetpp.detector:Unetpp",
        ),
        ComponentSpec(
            "yolov3",
            "YOLOv3, -SPP and -tiny of ultralytics; -tiny has weights; only training needs the "
            "extra [yolo].",
            "defectscope.detectors.yolov3.detector:YoloV3",
            licence="AGPL-3.0",
        ),
    ]
