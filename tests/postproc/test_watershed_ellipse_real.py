"""On real frames, sizes agree with experts' ellipses and hardly depend on how boxes were drawn."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.tables import diameters
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.postproc.watershed_ellipse import WatershedEllipse

RUNTIME = ds.Runtime(defect_types={kind.name: kind for kind in SHIPPED})
pytestmark = pytest.mark.real_data


def labelled(folder):
    """Yield (frame, instances, annotations) of every labelled image of a folder."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    images = path.parent / "frames" if (path.parent / "frames").exists() else path.parent
    for image in content["images"]:
        pixels = cv2.imread(str(images / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        notes = [note for note in content["annotations"] if note["image_id"] == image["id"]]
        boxes = np.array([note["bbox"] for note in notes], float)
        boxes[:, 2:] += boxes[:, :2]
        types = [names[note["category_id"]] for note in notes]
        yield ds.Frame(pixels), ds.Instances(pixels.shape, boxes, defect_types=types), notes


def test_mean_diameters_agree_with_labelled_ellipses_as_well_as_published(real_data):
    """P3 reports mean diameters within 11 % of the experts' for each type."""
    rows = []
    for frame, instances, notes in labelled(real_data("stem-multitype")):
        found = WatershedEllipse(None, RUNTIME).process(frame, instances)
        columns = [found.measurements[name] for name in ("major_px", "minor_px")]
        true = [np.array([note["ellipse"][name] for note in notes]) for name in ("major", "minor")]
        kinds = instances.defect_types
        pairs = [diameters(a, b, kinds, RUNTIME.defect_types) for a, b in (columns, true)]
        whole = found.measurements["at_rim"] == 0
        rows += list(zip(kinds[whole], *(values[whole] for values in pairs), strict=True))
    for name in ("a/2<111> loop", "black dot", "a<100> loop"):
        measured, true = np.array([(a, b) for kind, a, b in rows if kind == name]).mean(axis=0)
        assert measured == pytest.approx(true, rel=0.11), name


def test_loops_of_the_video_are_segmented_and_sizes_do_not_hang_on_the_boxes(real_data):
    rng = np.random.default_rng(0)
    component = WatershedEllipse(None, RUNTIME)
    for frame, instances, _ in labelled(real_data("insitu-loops")):
        found = component.process(frame, instances)
        columns = found.measurements
        assert columns["fit"].mean() > 0.96
        fitted = ellipse_boxes(
            *(columns[name] for name in ("x", "y", "major_px", "minor_px", "angle_deg"))
        )
        sides = np.concatenate([instances.boxes[:, 2:] - instances.boxes[:, :2]] * 2, axis=1)
        # Experts draw boxes about a pixel inside the half-level edge on each side.
        outside = (fitted - instances.boxes) * [-1, -1, 1, 1]
        assert 0 < np.median(outside) < 1.6
        moved = instances.boxes + 0.1 * sides * np.clip(rng.standard_normal(sides.shape), -2, 2)
        again = component.process(
            frame,
            ds.Instances(frame.shape, moved, defect_types=instances.defect_types),
        )
        median = np.median(columns["major_px"])
        assert np.median(again.measurements["major_px"]) == pytest.approx(median, rel=0.08)
