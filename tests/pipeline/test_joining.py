"""Frames and their truth find each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.sizes import size_errors
from defectscope.pipeline.joining import join_frames
from defectscope.pipeline.results import Result

SHAPE = (48, 64)
LOOP = ds.DefectType("dislocation", "Dislocation", "ellipse")
FOUND = pd.DataFrame({
    "frame": [0, 0, 1], "detection": [0, 1, 0], "x_min": 1.0, "y_min": 2.0, "x_max": 9.0,
    "y_max": 8.0, "score": 1.0, "defect_type": "dislocation", "length_px": [7.0, np.nan, 7.0],
})  # fmt: skip
GEOMETRY = pd.DataFrame({
    "frame": [0] * 5 + [1] * 2, "detection": [0, 0, 1, 1, 1, 0, 0], "vertex": [0, 1, 0, 1, 2, 0, 1],
    "x": np.arange(7.0), "y": 1.0,
})  # fmt: skip


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that gives a run of frames of these names, with these detections."""

    def make(sources, detections=FOUND):
        frames = pd.DataFrame({
            "frame": range(len(sources)), "source": sources, "status": "ok",
            "height_px": SHAPE[0], "width_px": SHAPE[1],
        })  # fmt: skip
        for name, table in (("frames", frames), ("detections", detections), ("geometry", GEOMETRY)):
            monkeypatch.setattr(Result, name, property(lambda _, table=table: table))
        result = Result.__new__(Result)
        result.folder = tmp_path
        return result

    return make


def truth(**frames):
    return Dataset([LabelledImage(n, ds.Instances.empty(SHAPE), k) for n, k in frames.items()])


def names(run, **frames):
    said = []
    return {j.name: j.frame for j in join_frames(run, truth(**frames), {}, said)}, said


def test_images_of_a_video_are_joined_by_their_index(run):
    found, said = names(run(["film.avi#0", "film.avi#1"]), **{"a.png": 0, "b.png": 1})
    assert found == {"a": 0, "b": 1}
    assert said == []


def test_names_with_marks_are_joined_however_they_are_spelled(run):
    found, said = names(run(["u\N{COMBINING DIAERESIS} 1.png"]), **{"\xfc 1.png": 0})
    assert found == {"\xfc 1": 0}
    assert said == []


def test_pages_of_another_stack_are_not_taken_for_those_of_this_one(run):
    stack = run(["one.tif#0", "one.tif#1"])
    found, said = names(stack, **{"one.tif#0": 0, "two.tif#1": 1})
    assert found == {"one#0": 0}
    assert "two.tif#1" in said[0]


def test_no_prediction_is_used_twice(run):
    stack = run(["one.tif#0", "one.tif#1"])
    found, said = names(stack, **{"one.tif#0": 0, "a.png": 0, "b.png": 1})
    assert found == {"one#0": 0, "b": 1}
    assert "a.png" in said[0]
    with pytest.raises(ds.UsageError, match="no labelled image has a prediction"):
        names(stack, **{"a.png": 1, "b.png": 1})


def test_what_the_rim_cuts_has_no_size_to_compare(run):
    measured = FOUND.drop(columns="length_px").assign(
        major_px=[8.0, 4.0, 8.0], minor_px=6.0, angle_deg=0.0, at_rim=[0, 1, 1], fit=[1, 0, 1]
    )
    true = Dataset([LabelledImage("a", ds.Instances.empty(SHAPE), 0)])
    found = join_frames(run(["a.png", "b.png"], measured), true, {}, [])[0].predicted
    sizes = size_errors([(found, found)], 0.5, {"dislocation": LOOP})["diameter_by_type"]
    assert sizes["dislocation"]["matched"] == 1
    assert sizes["dislocation"]["predicted_mean_diameter_px"] == 8


def test_outlines_are_no_lines_where_lines_were_measured(run):
    both = truth(**{"a.png": 0})
    (joined,) = join_frames(run(["a.png"]), both, {}, [])
    assert [len(line) for line in joined.predicted.lines] == [2, 0]
    unmeasured = run(["a.png"], FOUND.drop(columns="length_px"))
    (joined,) = join_frames(unmeasured, both, {}, [])
    assert [len(line) for line in joined.predicted.lines] == [2, 3]
    (joined,) = join_frames(unmeasured, both, {"dislocation": LOOP}, [])
    assert joined.predicted.lines is None


BOX = [[10.0, 5.0, 20.0, 15.0]]


def guessed(shape, name="v.mp4#0"):
    """An image of which nothing told the size."""
    return LabelledImage(
        name, ds.Instances(shape, BOX, defect_types="dislocation"), 0, size_is_guessed=True
    )


def test_a_size_that_was_guessed_gives_way_to_the_one_that_is_known(run):
    labels = Dataset([guessed((15, 20))])
    (joined,) = join_frames(run(["v.mp4#0"]), labels, {}, [])
    assert joined.predicted.image_shape == joined.true.image_shape == SHAPE
    assert joined.true.boxes.tolist() == BOX
    known = Dataset([LabelledImage("v.mp4#0", ds.Instances.empty(SHAPE), 0)])
    (joined,) = join_frames(labels, known, {}, [])
    assert joined.predicted.image_shape == joined.true.image_shape == SHAPE
    # Of two guesses neither is too large.
    (joined,) = join_frames(labels, Dataset([guessed((40, 16))]), {}, [])
    assert joined.predicted.image_shape == joined.true.image_shape == (40, 20)


def test_sizes_that_contradict_each_other_are_refused(run):
    larger = Dataset([LabelledImage("v.mp4#0", ds.Instances.empty((48, 65)), 0)])
    with pytest.raises(ds.UsageError, match=r"v\.mp4#0 is \(65, 48\) px \(width, height\) in the "
                       r"truth but \(64, 48\) px in the prediction.* turned"):  # fmt: skip
        join_frames(run(["v.mp4#0"]), larger, {}, [])
    with pytest.raises(ds.UsageError, match=r"v\.mp4#0 is at least \(20, 49\) px"):
        join_frames(run(["v.mp4#0"]), Dataset([guessed((49, 20))]), {}, [])
