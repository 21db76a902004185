"""Layers for napari, written, corrected and read back."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.instances import Instances
from defectscope.core.tables import ORIGINS
from defectscope.readers.formats.napari import Napari

OPEN_IN_NAPARI = """
import json, sys
import numpy as np
from napari.components import ViewerModel
from npe2 import PluginManager

PluginManager.instance().discover()  # as a window does; without, nothing reads CSV
folder = sys.argv[1]
viewer = ViewerModel()
(shapes,) = viewer.open(folder + "/shapes.csv", plugin="napari")
tracks = viewer.add_tracks(np.loadtxt(folder + "/tracks.csv", delimiter=",", skiprows=1))
first = shapes.to_labels((2, 80, 100))[0] == 1
said = {
    "layers": [type(layer).__name__ for layer in viewer.layers],
    "kinds": list(shapes.shape_type),
    "centres": [np.mean(corners, axis=0).tolist() for corners in shapes.data],
    "covered": np.argwhere(first).tolist(),
    "tracks": np.asarray(tracks.data).tolist(),
}
shapes.save(folder + "/shapes.csv", plugin="napari")
print(json.dumps(said))
"""
UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"}


def dataset():
    ellipse = {"x": [20.0, 50.5], "y": [30.0, 40.25], "major_px": [16.0, 10.0],
               "minor_px": [8.0, 9.0], "angle_deg": [30.0, 120.0], "track_id": [4, 7],
               "origin": [0.0, 1.0]}  # fmt: skip
    boxes = [[12, 24, 28, 36], [45, 35, 56, 46]]
    first = Instances((80, 100), boxes, [0.9, 0.5], ["a<100> loop", "black dot"],
                      measurements=ellipse,
                      units={n: UNITS.get(n, "") for n in ellipse})  # fmt: skip
    second = Instances((80, 100), [[1, 2, 11, 22]], defect_types="black dot")
    images = [
        LabelledImage("f461.png", first, 461, 0.5, 1.5),
        LabelledImage("f462.png", second, 462),
    ]
    return Dataset(images)


def test_everything_comes_back(tmp_path):
    given = dataset()
    assert Napari().save(given, tmp_path / "layers") == []
    assert Napari().accepts(tmp_path / "layers")
    found = Napari().load(tmp_path / "layers")
    for before, after in zip(given.images, found.images, strict=True):
        assert (after.file_name, after.frame) == (before.file_name, before.frame)
        assert (after.pixel_size_nm, after.dose_dpa) == (before.pixel_size_nm, before.dose_dpa)
        a, b = before.instances, after.instances
        assert b.image_shape == a.image_shape
        assert b.defect_types.tolist() == a.defect_types.tolist()
        np.testing.assert_allclose(b.scores, a.scores)
        for name in a.measurements:
            np.testing.assert_allclose(b.measurements[name], a.measurements[name], atol=1e-3)
    np.testing.assert_allclose(found.images[1].instances.boxes, [[1, 2, 11, 22]])


def test_the_axes_are_those_of_napari(tmp_path):
    Napari().save(dataset(), tmp_path / "layers")
    with (tmp_path / "layers" / "shapes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "shape-type", "vertex-index", "axis-0", "axis-1", "axis-2"]
    own = np.array([[float(r[f"axis-{k}"]) for k in range(3)] for r in rows if r["index"] == "0"])
    # Image, y, x of four corners around the ellipse, with the centre of the first pixel at 0.
    np.testing.assert_allclose(own.mean(axis=0), [0, 29.5, 19.5])
    tracks = (tmp_path / "layers" / "tracks.csv").read_text().splitlines()
    assert tracks[0] == "track_id,axis-0,axis-1,axis-2"
    assert tracks[1] == "4,0,29.5000,19.5000"


def test_tracks_of_several_sequences_stay_apart(tmp_path):
    columns = {"track_id": [4, 0]}
    found = Instances((80, 100), [[0, 0, 9, 9], [20, 20, 40, 30]], defect_types="black dot",
                      measurements=columns, units={"track_id": ""})  # fmt: skip
    images = [LabelledImage(f"{k}.png", found, k % 2) for k in range(4)]
    Napari().save(Dataset(images), tmp_path / "layers")
    rows = (tmp_path / "layers" / "tracks.csv").read_text().splitlines()[1:]
    assert [tuple(map(int, row.split(",")[:2])) for row in rows] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3),
    ]  # fmt: skip
    for image in Napari().load(tmp_path / "layers").images:
        assert image.instances.measurements["track_id"].tolist() == [4, 0]


def test_napari_opens_the_layers(tmp_path):
    """In a process of its own: what napari imports warns, and takes its time."""
    if importlib.util.find_spec("napari") is None:
        pytest.skip("napari is not installed")
    folder = tmp_path / "layers"
    Napari().save(dataset(), folder)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_IN_NAPARI, str(folder)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened = json.loads(done.stdout.splitlines()[-1])
    # Two ellipses in the first image, a rectangle in the second; image, row, column.
    assert opened["layers"] == ["Shapes", "Tracks"]
    assert opened["kinds"] == ["ellipse", "ellipse", "rectangle"]
    np.testing.assert_allclose(opened["centres"], [[0, 29.5, 19.5], [0, 39.75, 50], [1, 11.5, 5.5]])
    # Pixels that the first shape covers: around (29.5, 19.5), turned by 30° against the rows.
    cover = np.array(opened["covered"])
    np.testing.assert_allclose(cover.mean(axis=0), [29.5, 19.5], atol=0.3)
    assert len(cover) == pytest.approx(np.pi * 8 * 4, rel=0.1)
    assert np.cov(cover.T)[0, 1] < -2  # right end above the left one: rows fall as columns rise
    assert opened["tracks"] == [[4, 0, 29.5, 19.5], [7, 0, 39.75, 50]]
    # Saved by napari, nothing is lost and nothing is a person's.
    back = Napari().load(folder)
    assert [len(image.instances) for image in back.images] == [2, 1]
    assert [ORIGINS[int(o)] for o in back.images[0].instances.measurements["origin"]] == [
        "detector", "interpolated"
    ]  # fmt: skip
    np.testing.assert_allclose(back.images[1].instances.boxes, [[1, 2, 11, 22]], atol=1e-3)


def edited(folder, change):
    """Do to the shapes what a person does in napari, which renumbers them."""
    path = folder / "shapes.csv"
    with path.open() as file:
        rows = [{k: float(v) if k.startswith("axis") else v for k, v in r.items()}
                for r in csv.DictReader(file)]  # fmt: skip
    rows = change(rows)
    numbers = {old: k for k, old in enumerate(dict.fromkeys(r["index"] for r in rows))}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([{**r, "index": numbers[r["index"]]} for r in rows])


def test_what_people_move_remove_and_draw_is_told_apart(tmp_path):
    folder = tmp_path / "layers"
    Napari().save(dataset(), folder)

    def change(rows):
        kept = [r for r in rows if r["index"] != "2"]  # removed
        for r in kept:
            if r["index"] == "1":
                r["axis-1"] += 3  # moved
        drawn = [(2.0, 3.0), (2.0, 9.0), (8.0, 9.0), (8.0, 3.0)]
        return kept + [
            {"index": "9", "shape-type": "ellipse", "vertex-index": k, "axis-0": 1.0, "axis-1": y,
             "axis-2": x} for k, (y, x) in enumerate(drawn)
        ]  # fmt: skip

    edited(folder, change)
    first, second = (image.instances for image in Napari().load(folder).images)
    assert [ORIGINS[int(o)] for o in first.measurements["origin"]] == ["detector", "human"]
    assert first.measurements["track_id"].tolist() == [4, 7]
    assert first.measurements["y"][1] == pytest.approx(43.25)
    assert [ORIGINS[int(o)] for o in second.measurements["origin"]] == ["human"]
    assert second.defect_types.tolist() == ["dislocation-loop"]
    assert (second.measurements["x"][0], second.measurements["y"][0]) == (6.5, 5.5)
    assert second.measurements["major_px"][0] == 6


def test_polygons_are_masks(tmp_path):
    folder = tmp_path / "layers"
    Napari().save(dataset(), folder)
    # napari gives the centre of the first pixel 0: the sides pass between pixels.
    corners = [(2.5, 3.5), (2.5, 13.5), (7.5, 13.5), (5.5, 8.5), (7.5, 3.5)]
    edited(folder, lambda rows: rows + [
        {"index": "9", "shape-type": "polygon", "vertex-index": k, "axis-0": 1.0, "axis-1": y,
         "axis-2": x} for k, (y, x) in enumerate(corners)
    ])  # fmt: skip
    found = Napari().load(folder).images[1].instances
    assert found.boxes.tolist()[1] == [4, 3, 14, 8]
    assert [mask.area_px for mask in found.masks] == [0, 40]
    assert found.masks[1].to_dense((80, 100))[3:8, 9].tolist() == [True] * 3 + [False] * 2


def test_what_is_malformed_is_said(tmp_path):
    folder = tmp_path / "layers"
    with pytest.raises(OutputError, match="are a folder"):
        Napari().save(dataset(), tmp_path / "layers.csv")
    Napari().save(dataset(), folder)
    edited(folder, lambda rows: [{**r, "axis-0": 5.0} for r in rows])
    with pytest.raises(FormatError, match="an image from 0 to 1, found 5"):
        Napari().load(folder)
    (folder / "shapes.csv").write_text("index,axis-0,axis-1\n0,1,2\n")
    with pytest.raises(FormatError, match="save the layer of shapes as CSV"):
        Napari().load(folder)
    (folder / "labels.json").write_text("{}")
    with pytest.raises(FormatError, match="no labels for napari"):
        Napari().load(folder)


def test_a_moved_shape_never_takes_the_place_of_another(tmp_path):
    boxes = [[10, 10, 20, 20], [16, 10, 26, 20]]
    tracks = {"track_id": np.array([4, 7])}
    found = Instances((50, 60), boxes, None, ["x", "y"], measurements=tracks,
                      units={"track_id": ""})  # fmt: skip
    Napari().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "layers")
    # Nearer to where the second one is, which stays.
    edited(tmp_path / "layers", lambda rows: [
        {**r, "axis-2": r["axis-2"] + 4.0} if r["index"] == "0" else r for r in rows
    ])  # fmt: skip
    (image,) = Napari().load(tmp_path / "layers").images
    assert image.instances.measurements["track_id"].tolist() == [4, 7]
    assert image.instances.defect_types.tolist() == ["x", "y"]
