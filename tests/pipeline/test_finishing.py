"""Which analyses a run is asked for, and how its detections are linked."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.tables import DETECTION_COLUMNS, GEOMETRY_COLUMNS, empty_table
from defectscope.pipeline.finishing import (
    about_what_was_found,
    findings_of,
    linked,
    track_detections,
    write_findings,
)
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins.shipped_types import SHIPPED


class OfLines(ds.Analysis):
    shapes = ("line",)

    def analyse(self, tables):
        return []


class OfAll(ds.Analysis):
    def analyse(self, tables):
        return []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["dislocation-loop"], ["all"]),
        (["dislocation-loop", "dislocation"], ["lines", "all"]),
        (["dislocation"], ["lines", "all"]),
        (["something of another plugin"], ["lines", "all"]),
        ([], ["lines", "all"]),
    ],
)
def test_analyses_of_a_shape_that_was_not_found_are_left_out(found, expected):
    runtime = ds.Runtime(defect_types={known.name: known for known in SHIPPED})
    named = [
        NamedComponent("lines", OfLines(runtime=runtime)),
        NamedComponent("all", OfAll(runtime=runtime)),
    ]
    result = SimpleNamespace(detections=pd.DataFrame({"defect_type": found}, dtype=str))
    assert [n.alias for n in about_what_was_found(named, result)] == expected


def test_figures_that_are_drawn_again_are_not_warned_of_again(tmp_path):
    class Failing(OfAll):
        def analyse(self, tables):
            raise ds.DefectscopeError("no idea")

    pixels = np.full((40, 50), 200, np.uint8)
    pixels[10:20, 10:20] = 20
    frames = [ds.Frame(pixels, index=k, source=f"f{k}") for k in (0, 1)]
    result = ds.Pipeline("dark-blobs", analyses=[]).run(
        frames, tmp_path / "run", overlay=False, figures=False
    )
    named = [
        NamedComponent("all", OfAll(runtime=ds.Runtime())),
        NamedComponent("failing", Failing(runtime=ds.Runtime()), optional=True),
    ]
    warnings = ["said before"]
    for _ in range(2):
        write_findings(result, named, lambda *_: None, warnings, lambda _: None)
        before, nothing, left_out = warnings
    assert before == "said before"
    assert nothing == "all found nothing: the tables hold too little"
    assert left_out.startswith("an analysis is left out: ")


@pytest.mark.parametrize(("kind", "seen"), [(OfLines, ["b", "c"]), (OfAll, ["a", "b", "c"])])
def test_analyses_see_no_defects_of_a_shape_they_are_not_about(kind, seen):
    class Looking(kind):
        def analyse(self, tables):
            rows.append((tables.detections["id"].tolist(), tables.tracks["id"].tolist()))
            return []

    rows = []
    runtime = ds.Runtime(defect_types={known.name: known for known in SHIPPED})
    found = pd.DataFrame(
        {"id": ["a", "b", "c"], "defect_type": ["dislocation-loop", "dislocation", "unknown"]}
    )
    tables = ds.Tables(pd.DataFrame({"frame": [0]}), found, None, found, ds.Calibration())
    named = NamedComponent("looking", Looking(runtime=runtime))
    assert list(findings_of([named], tables, lambda *_: None, [])) == []
    assert rows == [(seen, seen)]


@pytest.mark.parametrize(
    ("looked_at", "found"),
    [
        (range(0, 40, 5), range(0, 40, 5)),
        ([0, 5, 10, 15, 25, 30], [0, 5, 15, 25, 30]),  # one not found, one not there
        ([3, 4, 5, 6, 7, 9], [3, 5, 7, 9]),
    ],
)
def test_trackers_count_the_frames_that_a_run_looked_at(tmp_path, looked_at, found):
    from defectscope.plugins.host import default_host

    pd.DataFrame({"frame": list(looked_at)}).to_csv(tmp_path / "frames.csv", index=False)
    rows = pd.DataFrame({"frame": list(found), "x": 5.0, "y": 5.0})
    rows.to_parquet(tmp_path / "detections.parquet")
    tracker = default_host().build("trackers", "trackpy", {"memory": 1}, ds.Runtime())
    named = NamedComponent("trackpy", tracker)
    track_detections(tmp_path, named, ds.Calibration(frame_interval_s=2.0), "csv")
    (particle,) = pd.read_csv(tmp_path / "particles.csv").to_dict("records")
    assert particle["quality"] == "good"
    first, last = min(found), max(found)
    assert (particle["first_frame"], particle["last_frame"]) == (first, last)
    assert particle["lifetime_s"] == 2.0 * (last - first + 1)


def test_damaged_frames_make_no_particle_patchy(tmp_path):
    from defectscope.plugins.host import default_host

    seen = [0, 1, 5, 9]
    status = ["ok" if frame in seen else "damaged" for frame in range(10)]
    pd.DataFrame({"frame": range(10), "status": status}).to_csv(
        tmp_path / "frames.csv", index=False
    )
    pd.DataFrame({"frame": seen, "x": 5.0, "y": 5.0}).to_parquet(tmp_path / "detections.parquet")
    tracker = default_host().build("trackers", "trackpy", {"memory": 4}, ds.Runtime())
    track_detections(tmp_path, NamedComponent("trackpy", tracker), ds.Calibration(), "csv")
    assert pd.read_csv(tmp_path / "particles.csv")["quality"].tolist() == ["good"]


@pytest.mark.parametrize("tracker", ["trackpy", "lines"])
def test_tables_of_csv_without_a_detection_are_linked(tmp_path, tracker):
    from defectscope.plugins.host import default_host

    pd.DataFrame({"frame": [0, 1]}).to_csv(tmp_path / "frames.csv", index=False)
    for name, columns in (("detections", DETECTION_COLUMNS), ("geometry", GEOMETRY_COLUMNS)):
        empty_table(columns).to_csv(tmp_path / f"{name}.csv", index=False)
    built = default_host().build("trackers", tracker, {}, ds.Runtime())
    track_detections(tmp_path, NamedComponent(tracker, built), ds.Calibration(), "csv")
    tracks = pd.read_csv(tmp_path / "tracks.csv")
    assert {*DETECTION_COLUMNS, "particle"} <= set(tracks.columns)
    assert tracks.empty


@pytest.mark.parametrize(("status", "filled"), [("ok", [0, 1, 2]), ("damaged", [0, 2])])
def test_gaps_are_filled_in_frames_without_detections(tmp_path, status, filled):
    from defectscope.plugins.host import default_host

    looked_at = pd.DataFrame({"frame": [0, 1, 2], "status": ["ok", status, "ok"]})
    looked_at.to_csv(tmp_path / "frames.csv", index=False)
    found = pd.DataFrame({"frame": [0, 2], "x": 5.0, "y": 5.0})
    found.to_parquet(tmp_path / "detections.parquet")
    options = {"memory": 1, "fill_gaps": True}
    tracker = default_host().build("trackers", "trackpy", options, ds.Runtime())
    track_detections(tmp_path, NamedComponent("trackpy", tracker), ds.Calibration(), "csv")
    assert sorted(pd.read_csv(tmp_path / "tracks.csv")["frame"]) == filled


def test_what_is_filled_in_has_the_time_and_dose_of_its_frame(tmp_path):
    from defectscope.plugins.host import default_host

    # The beam was off for a long time between the frames 1 and 2.
    frames = pd.DataFrame({"frame": range(4), "status": "ok", "time_s": [0.0, 1.0, 101.0, 102.0],
                           "dose_dpa": [0.1, 0.2, 0.2, 0.3]})  # fmt: skip
    frames.to_csv(tmp_path / "frames.csv", index=False)
    found = frames.drop(columns="status").assign(x=5.0, y=5.0).iloc[[0, 3]]
    found.to_parquet(tmp_path / "detections.parquet")
    options = {"memory": 2, "fill_gaps": True}
    tracker = default_host().build("trackers", "trackpy", options, ds.Runtime())
    track_detections(tmp_path, NamedComponent("trackpy", tracker), ds.Calibration(), "csv")
    tracks = pd.read_csv(tmp_path / "tracks.csv").sort_values("frame")
    assert tracks["origin"].tolist() == ["detector", *["interpolated"] * 2, "detector"]
    for name in ("time_s", "dose_dpa"):
        assert tracks[name].tolist() == frames[name].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["frame"], "found Series"),
        (lambda t: t.drop(columns=["y"]), "missing: y"),
        (lambda t: t.assign(x="here"), "numbers in the column x"),
        (lambda t: t.assign(particle=0.5), "whole numbers in the column particle, found float64"),
        (lambda t: t.assign(frame=t["frame"] + 7), "frames that it was not given"),
        (lambda t: t.assign(particle=3), "found particle 3 twice in frame 0"),
        (lambda t: t[["frame", "x", "y", "particle"]], "missing: detection, score"),
        (lambda t: pd.concat([t, t["x"]], axis=1), "each column once, found twice: x"),
        (
            lambda t: t.assign(x=t["x"] + 1000),
            "not among those given: frame 0, detection 0, x 1001",
        ),
        (lambda t: t.assign(y=t["y"].where(t["y"] > 1)), "not among those given.*y nan"),
        (
            lambda t: pd.concat([t, t.assign(particle=t["particle"] + 3)]),
            "returned twice: frame 0, detection 0",
        ),
        (lambda t: t.assign(y=float("nan"), origin="interpolated"), "not among those given"),
    ],
)
def test_what_are_no_tracks_is_refused(change, message):
    class Wrong(ds.Tracker):
        def link(self, detections, geometry=None):
            return change(detections.assign(particle=range(len(detections))))

    found = pd.DataFrame(
        {"frame": [0, 0, 1], "detection": [0, 1, 0], "x": 1.0, "y": [1.0, 2.0, 3.0], "score": 1.0}
    )
    with pytest.raises(ds.ComponentError, match=message):
        linked(NamedComponent("wrong", Wrong(runtime=ds.Runtime())), found)


def test_tracks_may_be_in_any_order_with_any_index():
    class Own(ds.Tracker):
        def link(self, detections, geometry=None):
            tracks = detections.assign(particle=range(len(detections)))[::-1]
            gap = tracks.head(1).assign(frame=1, y=2.0, origin="interpolated")
            return pd.concat([tracks, gap]).set_index("frame", drop=False)

    # Of two alike either may be left out.
    found = pd.DataFrame({"frame": [0, 0, 2, 2], "x": 1.0, "y": [1.0, 1.0, 3.0, 4.0]})
    own = NamedComponent("own", Own(runtime=ds.Runtime()))
    tracks = linked(own, found, looked_at=[0, 1, 2])
    assert tracks.sort_values("frame")["frame"].tolist() == [0, 0, 1, 2, 2]
