"""Registers the shipped readers and annotation formats."""

from __future__ import annotations

from defectscope import FormatSpec, ReaderSpec, hookimpl

# Also of labels' images, whose sizes are read from the file.
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


@hookimpl
def defectscope_readers() -> list[ReaderSpec]:
    """Return the shipped readers."""
    return [
        ReaderSpec(
            "image",
            "One image a file: PNG, JPEG, BMP, at full bit depth.",
            "defectscope.readers.images:ImageReader",
            suffixes=(".png", ".jpg", ".jpeg", ".bmp"),
        ),
        ReaderSpec(
            "tiff",
            "TIFF images and stacks, page by page, with the scale of ImageJ, OME and FEI.",
            "defectscope.readers.tiff:TiffReader",
            suffixes=(".tif", ".tiff"),
        ),
        ReaderSpec(
            "video",
            "Videos, as grey frames at full bit depth.",
            "defectscope.readers.video:VideoReader",
            suffixes=VIDEO_SUFFIXES,
        ),
        ReaderSpec(
            "microscope",
            "Gatan DM, MRC, EMD, TIA and HyperSpy files with their scale (by RosettaSciIO).",
            "defectscope.readers.microscope:MicroscopeReader",
            extra="microscope",
            licence="GPL-3.0",
            suffixes=(
                ".dm3", ".dm4", ".mrc", ".mrcs", ".rec", ".st", ".ali", ".emd", ".ser", ".hspy",
            ),
        ),
    ]  # fmt: skip


@hookimpl
def defectscope_formats() -> list[FormatSpec]:
    """Return the shipped annotation formats."""
    here = "defectscope.readers.formats"
    return [
        FormatSpec(
            "coco",
            "COCO instances, with ellipses, lines and tracks: our own datasets, and any plain one.",
            f"{here}.coco:Coco",
        ),
        FormatSpec("labelme", "labelme: one JSON file an image.", f"{here}.labelme:LabelMe"),
        FormatSpec("yolo", "YOLO: one text file an image, with its classes.", f"{here}.yolo:Yolo"),
        FormatSpec(
            "pascal-voc", "Pascal VOC: one XML file an image.", f"{here}.pascal_voc:PascalVoc"
        ),
        FormatSpec(
            "imagej-csv",
            "Results tables of ImageJ's Measure: boxes and fitted ellipses.",
            f"{here}.imagej_csv:ImageJCsv",
        ),
        FormatSpec(
            "imagej-roi",
            "ImageJ regions of interest: .roi files and .zip sets.",
            f"{here}.imagej_roi:ImageJRoi",
        ),
        FormatSpec(
            "napari",
            "Layers for napari: shapes and tracks as CSV, corrected shapes back.",
            f"{here}.napari:Napari",
        ),
    ]
