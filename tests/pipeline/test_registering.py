"""Registration as part of a run: tables keep the frames' coordinates, the work is done without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.errors import MissingPackageError, OptionError, UsageError
from defectscope.core.frame_rows import FrameRows
from defectscope.core.registration import Shift
from defectscope.core.votes import Vote
from defectscope.core.voting import VotingWindow
from defectscope.detectors.dark_blobs import DarkBlobs
from defectscope.pipeline.registering import (
    chosen_registration,
    in_frame,
    in_specimen,
    out_of_view,
    shifted_outcome,
)
from defectscope.pipeline.stages import FrameOutcome
from defectscope.trackers.trackpy_linker import Loops

SHIFTS = np.array([[0, 0], [1, 0], [1, 1], [25, -14], [26, -14], [26, -13]])


class Moved(ds.FrameSequence):
    """A specimen that drifts, and jumps before the fourth frame; three dark squares lie on it."""

    def __init__(self, damaged=(), shifts=SHIFTS):
        self.shifts = shifts
        self.indices = tuple(range(10, 16))
        self.names = tuple(f"f{k}" for k in self.indices)
        self.warnings: list[str] = []
        self.calibration = ds.Calibration(pixel_size_nm=0.5)
        self.damaged = damaged

    def read(self, position):
        if position in self.damaged:
            raise ds.DamagedFrameError(f"{self.names[position]}: the file is truncated")
        import cv2

        rng = np.random.default_rng(0)
        scene = cv2.GaussianBlur(rng.normal(0, 1, (300, 300)), (0, 0), 2) * 80 + 150
        for x, y in ((120, 120), (160, 110), (130, 170)):
            scene[y : y + 12, x : x + 12] = 10
        x, y = self.shifts[position]
        return np.clip(scene[60 - y : 220 - y, 60 - x : 240 - x], 0, 255).astype(np.uint8)


class Bordered(Moved):
    """The same on a screen, in a window that stands still."""

    def read(self, position):
        screen = np.random.default_rng(1).integers(0, 256, (360, 400), dtype=np.uint8)
        screen[100:260, 110:290] = super().read(position)
        return screen


def run(tmp_path, frames=None, fill_gaps=False, **settings):
    options = {
        "dark-blobs": {"background_px": 60},
        "loops": {"min_length": 2, "remove_drift": False, "fill_gaps": fill_gaps},
    }
    pipeline = ds.Pipeline("dark-blobs", tracker="loops", analyses=[], options=options)
    given = {"overlay": False, "figures": False, **settings}
    return pipeline.run(frames or Moved(), tmp_path / "run", **given)


def test_drift_and_jumps_stand_in_the_table_of_frames(tmp_path):
    result = run(tmp_path, register=True)
    frames = result.frames
    np.testing.assert_allclose(frames[["drift_x_px", "drift_y_px"]], SHIFTS, atol=0.2)
    assert frames["jump"].tolist() == [0, 0, 0, 1, 0, 0]
    assert (frames["correlation"] > 0.8).all()
    assert "the stage jumped 1 times: in frames 13" in result.warnings
    assert result.info["plan"]["register"] == {"batch": 20, "jump_px": 5.0}
    assert "drift_x_px" not in run(tmp_path, overwrite=True).frames


def test_the_part_that_is_looked_at_is_what_is_registered(tmp_path):
    whole = run(tmp_path, Bordered(), register=True).frames
    assert whole[["drift_x_px", "drift_y_px"]].abs().max(axis=None) < 0.2
    frames = run(
        tmp_path, Bordered(), register=True, roi=(110, 100, 290, 260), overwrite=True
    ).frames
    np.testing.assert_allclose(frames[["drift_x_px", "drift_y_px"]], SHIFTS, atol=0.2)


def test_tracks_go_on_across_a_jump_and_rows_stay_in_their_frames(tmp_path):
    result = run(tmp_path, register=True)
    tracks = result.tracks
    best = tracks[tracks.groupby("particle")["frame"].transform("size") == 6]
    assert best["particle"].nunique() == 3
    key = ["frame", "detection"]
    both = best.merge(result.detections, on=key, suffixes=("", "_given"))
    for name in ("x", "y", "x_min", "y_max"):
        assert (both[name] == both[f"{name}_given"]).all()
    still = best.groupby("particle")[["x_corrected", "y_corrected"]].agg(np.ptp)
    assert still.to_numpy().max() < 1.5
    assert np.ptp(best.loc[best["particle"] == best["particle"].iloc[0], "x"]) > 20


def test_votes_are_cast_in_the_specimen(tmp_path):
    kept = {}
    for register in (None, True):
        result = run(tmp_path, register=register, vote="5/6", overwrite=True)
        kept[register] = result.detections.groupby("frame").size().reindex(range(10, 16))
    assert (kept[True] >= 3).all()
    assert kept[None].fillna(0).sum() < kept[True].sum()


@pytest.mark.parametrize("vote", [None, "3/6"])
def test_what_the_stage_carries_out_of_view_is_not_filled_in_there(tmp_path, vote):
    # One of the squares, 44 px from the lower rim, leaves over it for two frames.
    away = SHIFTS * 0
    away[2:4] = (0, 52)
    result = run(tmp_path, Moved(shifts=away), True, register=True, vote=vote)
    np.testing.assert_allclose(result.frames["drift_y_px"], away[:, 1], atol=0.3)
    assert result.frames["count"].tolist() == result.detections.groupby("frame").size().tolist()
    tracks = result.tracks
    for table in (tracks, result.detections):
        assert table["y"].between(0, 160).all()
        assert not table.duplicated(["frame", "detection"]).any()
    seen = {particle: own["frame"].tolist() for particle, own in tracks.groupby("particle")}
    assert sorted(seen.values(), key=len) == [[10, 11, 14, 15], *[list(range(10, 16))] * 2]


def test_only_rows_that_were_filled_in_are_out_of_view():
    rows = {
        "x": np.array([-1.0, -1.0, 9.9, 10.0, 5.0, np.nan]),
        "y": np.array([5.0, 5.0, 5.0, 5.0, -0.1, 5.0]),
        "origin": np.array(["detector"] + ["interpolated"] * 5, object),
    }
    assert out_of_view(rows, 10, 8).tolist() == [False, True, False, True, True, False]
    assert not out_of_view(rows, np.full(6, np.nan), np.full(6, np.nan))[2:4].any()


def test_a_damaged_frame_has_no_shift_and_the_others_do(tmp_path):
    frames = run(tmp_path, Moved(damaged=(2,)), register={"jump_px": 50}).frames
    assert frames["drift_x_px"].isna().tolist() == [False, False, True, False, False, False]
    assert frames["jump"].sum() == 0
    assert frames["drift_x_px"].iloc[-1] == pytest.approx(26, abs=0.3)


def test_what_cannot_be_registered_is_refused(tmp_path):
    with pytest.raises(UsageError, match="in the order of their indices"):
        run(
            tmp_path, [ds.Frame(np.eye(32, dtype=np.uint8), index=k) for k in (2, 1)], register=True
        )
    pipeline = ds.Pipeline("dark-blobs", analyses=[])
    with pytest.raises(UsageError, match="unrelated images"):
        pipeline.run(Moved(), tmp_path / "x", register=True, mixed_sizes=True)
    with pytest.raises(OptionError, match=r"batch and jump_px; found \{'fast': True\}"):
        chosen_registration({"fast": True})
    assert chosen_registration(False) is None


class Counted(Moved):
    """Says how many of its frames were read."""

    def __init__(self, **given):
        super().__init__(**given)
        self.seen = []

    def read(self, position):
        self.seen.append(position)
        return super().read(position)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"roi": (0, 0, 999, 99)}, "does not lie inside"),
        ({"masks": [np.ones((9, 9))]}, "needs the size of the frames"),
    ],
)
def test_what_does_not_fit_is_refused_before_all_frames_are_read(tmp_path, wrong, message):
    frames = Counted(damaged=(0,))
    with pytest.raises(OptionError, match=message):
        run(tmp_path, frames, register=True, **wrong)
    assert frames.seen == [0, 1]


def test_what_cannot_be_opened_is_told_before_all_frames_are_read(tmp_path, monkeypatch):
    frames = Counted()

    def missing(self):
        raise MissingPackageError("linker", "", "this")

    monkeypatch.setattr(DarkBlobs, "open", missing)
    with pytest.raises(MissingPackageError):
        run(tmp_path, frames, register=True)
    monkeypatch.undo()
    monkeypatch.setattr(Loops, "open", missing)
    with pytest.raises(MissingPackageError):
        run(tmp_path, frames, overwrite=True)
    assert frames.seen == []


def test_tables_come_back_from_the_specimen_as_they_were():
    shifts = pd.DataFrame({"drift_x_px": [0.1, 7.3]}, index=[0, 1]).assign(drift_y_px=-0.7)
    table = pd.DataFrame({"frame": [0, 1, 1], "detection": [0, 0, 1], "x": [0.1, 1 / 3, 9.7],
                          "y": [1e-9, 2.2, 3.3]})  # fmt: skip
    linked = in_specimen(table, shifts).assign(particle=[0, 0, 1])
    back = in_frame(linked, shifts, table)
    pd.testing.assert_frame_equal(back[list(table)], table, check_exact=True)
    np.testing.assert_allclose(back["x_corrected"], table["x"] - [0.1, 7.3, 7.3])


PX = [f"{end}_{axis}_px" for end in ("start", "end") for axis in "xy"]


def with_ends(table):
    """Return a table with the ends of lines around its places, at 0.5 nm/px."""
    for name, place, away in zip(PX, ("x", "y") * 2, (-3.0, -2.0, 3.0, 2.0), strict=True):
        table[name] = table[place] + away
        table[name.replace("_px", "_nm")] = table[name] * 0.5
    return table


def test_positions_in_nm_move_with_those_in_px():
    shifts = pd.DataFrame({"drift_x_px": [0.1, 100.3], "drift_y_px": -0.7}, index=[0, 1])
    table = with_ends(pd.DataFrame({"frame": [0, 1, 1], "detection": [0, 0, 1],
                                    "x": [0.1, 100 / 3, 9.7], "y": [1e-9, 2.2, 3.3]}))  # fmt: skip
    still = in_specimen(table, shifts)
    assert still["start_x_nm"].tolist() == pytest.approx(still["start_x_px"].to_numpy() / 2)
    back = in_frame(still.assign(particle=[0, 0, 1]), shifts, table)
    pd.testing.assert_frame_equal(back[list(table)], table, check_exact=True)


def test_a_vote_in_the_specimen_fills_in_the_same_place_in_nm_and_px():
    shifts = [Shift(100.0 * (k > 1), -20.0 * (k > 1), False, 1.0) for k in range(4)]
    found = []
    for frame, shift in enumerate(shifts):
        rows = with_ends({
            "frame": np.array([frame]), "detection": np.array([0]),
            "origin": np.array(["detector"]), "defect_type": np.array(["a"]),
            "x": np.array([40.0 + shift.x]), "y": np.array([60.0 + shift.y]),
            "x_min": np.array([35.0 + shift.x]), "x_max": np.array([45.0 + shift.x]),
            "y_min": np.array([55.0 + shift.y]), "y_max": np.array([65.0 + shift.y]),
        })  # fmt: skip
        seen = FrameRows(frame, rows)[np.array([frame != 2])]
        outcome = FrameOutcome(frame, "", (200, 200), seen)
        found.append(shifted_outcome(outcome, shift, -1))
    window = VotingWindow(Vote.parse("2/4"))
    rows = [out for o in found for out in window.add(o.index, o.rows)] + window.rest()
    for o, shift, voted in zip(found, shifts, rows, strict=True):
        table = shifted_outcome(replace(o, rows=voted), shift, 1).rows.detections
        assert table["start_x_px"].tolist() == pytest.approx([37 + shift.x])
        for name in PX:
            in_nm = table[name.replace("_px", "_nm")]
            assert in_nm.tolist() == pytest.approx((0.5 * table[name]).tolist())
