"""``vote`` in a run: counts, gaps, resume, workers, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.votes import Vote
from defectscope.pipeline import session
from defectscope.pipeline.runfolder import RunFolder
from defectscope.pipeline.voting import check_vote, first_needed
from defectscope.plugins.host import PluginHost, PluginRecord

PLAIN = {"overlay": False, "figures": False}
TABLES = ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv", "particles.csv")


class Blink(ds.Detector):
    """One defect that frame 5 lacks, and one spot of noise a frame."""

    defect_types = ("black dot",)

    def detect(self, frames):
        found = []
        for frame in frames:
            k = frame.index
            boxes = [[10 + 0.25 * k, 10, 20 + 0.25 * k, 20]] if k != 5 else []
            boxes.append([24 + 19 * (k % 2), 1 + 9 * (k % 4), 30 + 19 * (k % 2), 7 + 9 * (k % 4)])
            found.append(ds.Instances(frame.shape, boxes, defect_types="black dot"))
        return found


class Jump(ds.Detector):
    """Six defects, which a jump of the stage moves before frame 10."""

    defect_types = ("black dot",)

    def detect(self, frames):
        corners = np.array([[x, y] for x in (1, 22, 43) for y in (1, 25)], float)
        found = []
        for frame in frames:
            places = corners + (10 if frame.index >= 10 else 0)
            boxes = np.hstack([places, places + 6])
            found.append(ds.Instances(frame.shape, boxes, defect_types="black dot"))
        return found


class Mask(ds.PostProcessor):
    """A mask for each box, so that there are outlines."""

    def process(self, frame, instances):
        masks = [
            ds.Mask(int(x), int(y), np.ones((int(v - y), int(u - x)), bool))
            for x, y, u, v in instances.boxes
        ]
        return ds.Instances(
            frame.shape, instances.boxes, instances.scores, instances.defect_types, masks=masks
        )


class Rank(ds.Tracker):
    def link(self, detections, geometry=None):
        return detections.assign(particle=detections.groupby("frame").cumcount())


class Plugin:
    @ds.hookimpl
    def defectscope_detectors(self):
        return [
            ds.ComponentSpec("blink", "Test detector.", f"{__name__}:Blink"),
            ds.ComponentSpec("jump", "Test detector.", f"{__name__}:Jump"),
        ]

    @ds.hookimpl
    def defectscope_postprocessors(self):
        return [ds.ComponentSpec("mask", "Box masks.", f"{__name__}:Mask")]

    @ds.hookimpl
    def defectscope_trackers(self):
        return [ds.ComponentSpec("rank", "By rank.", f"{__name__}:Rank")]


@pytest.fixture
def pipeline():
    host = PluginHost(entry_points=())
    host.register(Plugin(), PluginRecord("test", "test-voting", "1.0", __name__))
    return ds.Pipeline("blink", ["mask"], "rank", host=host)


def test_noise_goes_and_the_gap_is_filled(pipeline, series, tmp_path):
    result = pipeline.run(series(12), tmp_path / "run", vote="2/3", **PLAIN)
    found = result.detections
    assert result.frames["count"].tolist() == [1] * 12
    assert found["frame"].tolist() == list(range(12))
    assert found["detection"].tolist() == [0] * 12
    assert found["origin"].tolist() == ["interpolated" if f == 5 else "detector" for f in range(12)]
    assert found["x"].tolist() == [15 + 0.25 * f for f in range(12)]
    assert found["dose_dpa"].tolist() == [result.calibration.dose_dpa(f) for f in range(12)]
    assert set(result.geometry["frame"]) == set(range(12))
    assert set(result.geometry["detection"]) == {0}
    assert result.particles["lifetime_frames"].tolist() == [12]
    info = json.loads((tmp_path / "run/run.json").read_text())
    assert info["plan"]["vote"] == "2/3"
    assert info["timings_s"]["vote"] > 0
    assert result.warnings == []


def test_frames_that_a_jump_of_the_stage_empties_are_said(pipeline, series, tmp_path):
    jump = ds.Pipeline("jump", host=pipeline.host)
    result = jump.run(series(20), tmp_path / "run", vote="6/9", **PLAIN)
    assert result.frames["count"].tolist()[7:13] == [6, 6, 0, 0, 6, 6]
    said = [text for text in result.info["warnings"] if "--register" in text]
    assert said == [
        "the vote 6/9 leaves nearly nothing of frame 9, while it keeps most of the frames around "
        "it; if the stage jumped there, use --register"
    ]
    # Noise that a vote takes away is none, and neither is a series that it keeps.
    for detector, length in (("blink", 12), ("jump", 9)):
        other = ds.Pipeline(detector, host=pipeline.host)
        result = other.run(series(length), tmp_path / detector, vote="6/9", **PLAIN)
        assert not any("--register" in text for text in result.info["warnings"])


def test_a_damaged_frame_is_no_vote_against(pipeline, series, tmp_path):
    result = pipeline.run(series(12, damaged=(4, 11)), tmp_path / "run", vote=(2, 3), **PLAIN)
    counts = result.frames["count"]
    assert counts.isna().tolist() == [f in (4, 11) for f in range(12)]
    # Frame 5 lacks the defect, and 4 beside it is damaged: no sighting before it.
    assert counts.dropna().tolist() == [0 if f == 5 else 1 for f in range(12) if f not in (4, 11)]


def test_csv(pipeline, series, tmp_path):
    pipeline.run(series(12), tmp_path / "run", vote="2/3", table_format="csv", **PLAIN)
    text = (tmp_path / "run/detections.csv").read_text()
    assert text.count("interpolated") == 1
    assert text.count("\n") == 13


@pytest.mark.parametrize("vote", ["2/3", "6/9", "1/1"])
@pytest.mark.parametrize("cut", [1, 5, 7])
def test_resume_gives_the_same_bytes(pipeline, series, tmp_path, monkeypatch, vote, cut):
    pipeline.run(series(14, damaged=(3,)), tmp_path / "whole", vote=vote, **PLAIN)
    commit, done = RunFolder.commit, []

    def stopped(self, start, outcomes, rows):
        commit(self, start, outcomes, rows)
        done.extend(outcomes)
        if len(done) >= cut:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session, "COMMIT_FRAMES", 1)
        patch.setattr(RunFolder, "commit", stopped)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(series(14, damaged=(3,)), tmp_path / "run", vote=vote, **PLAIN)
    result = pipeline.run(
        series(14, damaged=(3,)), tmp_path / "run", vote=vote, resume=True, **PLAIN
    )
    for name in TABLES:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(result.info["damaged_frames"]) == 1


def test_a_resume_under_another_vote_is_refused(pipeline, series, tmp_path):
    pipeline.run(series(4), tmp_path / "run", vote="2/3", **PLAIN)
    with pytest.raises(ds.UsageError, match=r"cannot be resumed: its vote was 2/3, now it is 3/3"):
        pipeline.run(series(4), tmp_path / "run", vote="3/3", resume=True, **PLAIN)
    with pytest.raises(ds.UsageError, match="its vote was 2/3, now it is none"):
        pipeline.run(series(4), tmp_path / "run", resume=True, **PLAIN)


def test_what_is_refused(pipeline, series, tmp_path):
    with pytest.raises(ds.OptionError, match="found '4/3'"):
        pipeline.run(series(4), tmp_path / "run", vote="4/3", **PLAIN)
    frames = series(4)
    frames.indices = (3, 2, 1, 0)
    with pytest.raises(ds.UsageError, match="in the order of their indices"):
        pipeline.run(frames, tmp_path / "run", vote="2/3", **PLAIN)
    assert not (tmp_path / "run").exists()
    pipeline.choices = [c for c in pipeline.choices if c[0] != "trackers"]
    with pytest.raises(ds.UsageError, match="unrelated images, which cannot vote"):
        pipeline.run(series(4), tmp_path / "run", vote="2/3", mixed_sizes=True, **PLAIN)


def test_a_vote_without_neighbours_is_said(pipeline, series, tmp_path):
    result = pipeline.run(series(1), tmp_path / "run", vote="6/9", **PLAIN)
    assert ["vote 6/9 keeps everything" in text for text in result.warnings] == [True]
    assert result.frames["count"].tolist() == [2]
    assert check_vote(Vote(6, 9), [0, 5, 10]) != []
    assert check_vote(Vote(6, 9), [0, 5, 9]) == []
    assert check_vote(Vote(2, 2), [0, 1]) == []
    assert check_vote(Vote(1, 1), [0]) == []


def test_a_resume_begins_where_the_window_does():
    indices = [0, 1, 2, 5, 6, 7, 8]
    assert first_needed(None, indices, 5) == 5
    assert first_needed(Vote(6, 9), indices, 0) == 0
    assert first_needed(Vote(6, 9), indices, 5) == 3
    assert first_needed(Vote(6, 9), indices, 4) == 2
    assert first_needed(Vote(6, 9), indices, 7) == 7
