"""What stands on top of a report, in words."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from defectscope import Calibration, Tables
from defectscope.pipeline import report_data
from defectscope.pipeline.report_data import page_data
from defectscope.pipeline.report_facts import heading, report_facts
from defectscope.pipeline.report_images import ReportImages
from defectscope.plugins.shipped_types import SHIPPED

TYPES = {kind.name: kind for kind in SHIPPED}


def facts(sources=("a.png",), threshold=None, **plan):
    detector = {"family": "detectors", "alias": "heatmap", "distribution": "defectscope",
                "version": "0.1.0", "options": {"weights": "loops", "score": None, "calm": True,
                                                "overlap": 0.35}}  # fmt: skip
    plan = {"components": [detector], "calibration": {}, "inputs": {"a.png": "x"}, **plan}
    known = Calibration(**plan["calibration"])
    info = {"plan": plan, "status": "complete", "versions": {"defectscope": "0.1.0"}}
    frames = pd.DataFrame({"frame": range(461, 461 + len(sources)), "source": list(sources)})
    tables = SimpleNamespace(frames=frames, detections=range(7), roi=None, calibration=known)
    return report_facts(SimpleNamespace(info=info), tables, TYPES, threshold)


def test_components_have_their_options():
    assert facts()["Detector"] == (
        "heatmap (defectscope 0.1.0): weights = loops, calm = yes, overlap = 0.35"
    )
    assert "score = 0.3 (by the weights)" in facts(threshold=0.3)["Detector"]


def test_two_post_processors_are_in_their_order():
    steps = [{"family": "postprocessors", "alias": name, "distribution": "d", "version": "1",
              "options": {}} for name in ("first", "second")]  # fmt: skip
    assert facts(components=steps)["Post-processor"] == "first (d 1); then second (d 1)"


def test_what_else_shaped_the_numbers_is_said():
    assert not {"Vote", "Registration", "Masked"} & set(facts(vote=None, register=None, masks=None))
    masks = {"rectangles": [[0, 0, 64, 9], [5, 5, 8, 8]], "files": ["bar.png"], "pixels": "sha256"}
    said = facts(vote="6/9", register={"batch": 20, "jump_px": 5.0}, masks=masks)
    assert said["Vote"] == "6/9: kept where found in 6 of 9 frames"
    assert said["Registration"] == "frames laid on each other (batch = 20, jump_px = 5)"
    assert said["Masked"] == "0,0,64,9; 5,5,8,8 px, bar.png"
    alone = {"rectangles": [], "files": ["bar.png"], "pixels": "sha256"}
    assert facts(masks=alone)["Masked"] == "bar.png"


def test_calibration_is_said_in_words():
    known = {"pixel_size_nm": 0.37197, "frame_interval_s": None, "thickness_nm": 75.0,
             "visible_fraction": {"*": 0.571}}  # fmt: skip
    assert facts(calibration=known)["Calibration"] == (
        "pixel size 0.37197 nm, foil thickness 75 nm, visible fraction of every type 0.571"
    )
    known = {"visible_fraction": {"a<100> loop": 0.5, "*": 1.0}}
    assert facts(calibration=known)["Calibration"] == (
        "visible fraction of a⟨100⟩ loop 0.5, visible fraction of every other type 1"
    )
    assert facts()["Calibration"] == "none"


@pytest.mark.parametrize(
    ("sources", "inputs", "text"),
    [
        ([f"F{k}.jpg" for k in range(461, 481)], {"263 files": "x"},
         "20 of 263 files: F461.jpg to F480.jpg"),
        (["a.png", "b.png"], {"a.png": "x", "b.png": "x"}, "a.png, b.png"),
        (["v.mp4#0", "v.mp4#1"], {"v.mp4": "x"}, "v.mp4"),
        ([f"{k}.png" for k in range(9)], {f"{k}.png": "x" for k in range(9)},
         "9 files: 0.png to 8.png"),
    ],
)  # fmt: skip
def test_inputs_are_those_of_the_frames(sources, inputs, text):
    assert facts(sources, inputs=inputs)["Inputs"] == text


def test_headings_have_units():
    columns = [
        "x",
        "median_diameter_nm",
        "lifetime_frames",
        "lifetime_s",
        "defect_type",
        "detections",
    ]
    assert [heading(name) for name in columns] == [
        "x (px)", "median diameter (nm)", "lifetime (frames)", "lifetime (s)", "defect type",
        "detections",
    ]  # fmt: skip


def test_the_viewer_has_courses_titles_scale_and_what_was_not_looked_at():
    frames = pd.DataFrame({"frame": [3], "source": "a.png", "time_s": [5.25], "dose_dpa": [None],
                           "width_px": 100, "height_px": 50, "status": "ok"})  # fmt: skip
    box = {"x": 5.0, "y": 5.0, "x_min": 0.0, "y_min": 0.0, "x_max": 9.0, "y_max": 9.0}
    rows = pd.DataFrame([{"frame": 3, "detection": k, "defect_type": name, **box}
                         for k, name in enumerate(["dislocation", "black dot"])])  # fmt: skip
    tables = Tables(frames, rows, None, None, Calibration(pixel_size_nm=0.5), (10, 0, 100, 50))
    particles = pd.DataFrame({"particle": [1], "defect_type": ["a<100> loop"], "x": [2.0],
                              "lifetime_frames": [3]})  # fmt: skip
    rows["particle"] = 1
    course = np.stack([np.arange(200.0), np.zeros(200)], axis=1)
    data = page_data(tables, particles, TYPES, ReportImages(), [3], {3: {0: course}})
    (frame,) = data["frames"]
    assert (frame["count"], frame["tracked"]) == (2, None)
    assert (frame["time_s"], frame["dose_dpa"]) == (5.25, None)
    assert frame["bar"] == {"px": 20, "text": "10 nm"}
    line, dot = frame["found"]
    assert line["line"][0] == [0, 0]
    assert line["line"][-1] == [199, 0]
    assert len(line["line"]) == 60
    assert dot["line"] is None
    (rim,) = frame["unseen"]
    assert (min(x for x, _ in rim), max(x for x, _ in rim)) == (0, 10)
    assert data["particles"][0][1] == "a⟨100⟩ loop"
    assert data["columns"] == ["particle", "defect type", "x (px)", "lifetime (frames)"]


@pytest.mark.parametrize(
    ("dose", "time", "label", "at"),
    [
        ([1.0, 1.0, 1.0], [0.0, 2.0, 4.0], "Time (s)", [0, 2, 4]),
        ([1.0, 1.5, 2.0], [0.0, 2.0, 4.0], "Dose (dpa)", [1, 1.5, 2]),
        ([1.0, 2.0, None], [None] * 3, "Frame", [7, 8, 9]),
        ([1.0, 1.0, 1.0], [0.0] * 3, "Frame", [7, 8, 9]),
    ],
)
def test_histories_stand_at_a_dose_or_time_that_changes(dose, time, label, at):
    frames = pd.DataFrame({"frame": [7, 8, 9], "source": ["7.png", "8.png", "9.png"],
                           "time_s": time, "dose_dpa": dose, "status": "ok"})  # fmt: skip
    rows = frames[["frame", "time_s", "dose_dpa"]].assign(
        x=1.0, y=1.0, particle=0, defect_type="black dot", diameter_px=[4.0, 5.0, 6.0]
    )
    particles = pd.DataFrame({"particle": [0], "lifetime_frames": [3]})
    data = page_data(
        Tables(frames, rows, None, rows, Calibration()), particles, TYPES, ReportImages(), []
    )
    assert (data["axis"], data["histories"]["0"]["at"]) == (label, at)


def test_histories_of_the_longest_stay_where_there_are_too_many_rows(monkeypatch):
    frames = pd.DataFrame({"frame": range(6), "source": "a.png", "status": "ok"})
    rows = pd.DataFrame(
        [(k, p, p) for p, n in ((0, 2), (1, 5), (2, 3), (3, 3)) for k in range(n)],
        columns=["frame", "detection", "particle"],
    ).assign(defect_type="black dot")
    particles = pd.DataFrame({"particle": range(4), "lifetime_frames": [2, 5, 3, 3]})
    tables = Tables(frames, rows, None, rows, Calibration())

    def kept(most):
        monkeypatch.setattr(report_data, "MOST_HISTORY_ROWS", most)
        return list(page_data(tables, particles, TYPES, ReportImages(), [])["histories"])

    assert kept(13) == ["0", "1", "2", "3"]
    assert kept(12) == ["1", "2", "3"]
    assert kept(9) == ["1", "2"]
