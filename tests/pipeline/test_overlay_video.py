"""Overlay video and stills of a run."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline import overlay, overlay_video
from defectscope.pipeline.caption import (
    CAPTION_PX,
    FALLBACK_COLOUR,
)
from defectscope.pipeline.overlay import (
    draw_overlay,
    overlay_zoom,
    write_overlays,
)
from defectscope.pipeline.overlay_video import Encoder
from defectscope.pipeline.strip import Part
from defectscope.plugins.testing import isolated_host

TYPES = {
    "loop": ds.DefectType("loop", "Loop", "ellipse", colour="#e69f00"),
    "line": ds.DefectType("line", "Line", "line", colour="#00ff40"),
}


def decoded(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def rgb(text):
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def still(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture
def run(host, tmp_path):
    def make(frames, detector="find", post=("axes",), tracker="by-rank", **settings):
        pipeline = ds.Pipeline(detector, post, tracker, analyses=[], host=host)
        return pipeline.run(frames, tmp_path / "run", figures=False, **settings)

    return make


def test_the_number_is_that_of_detections_also_where_tracks_are_drawn(run, series, monkeypatch):
    said = []
    monkeypatch.setattr(overlay, "frame_parts", lambda *given: said.append(given[2::2]) or [])

    def numbers():
        # Of each frame once to see how much room they need, once to write them.
        first, second = said[: len(said) // 2], said[len(said) // 2 :]
        said.clear()
        assert first == second
        return first

    run(series(2))
    assert numbers() == [(3, 3), (3, 3)]
    result = run(series(2), tracker=None, overwrite=True)
    assert numbers() == [(3, None), (3, None)]
    stub = ds.load_run(result.folder)
    stub.tracks = stub.detections.iloc[:4].assign(particle=[0, 1, 2, 0])
    write_overlays(series(2), stub, {}, lambda *_: None, [], lambda names: None)
    assert numbers() == [(3, 3), (3, 1)]


def test_rows_that_a_tracker_filled_in_are_dashed_in_every_picture(run, series, monkeypatch):
    result = run(series(3))
    asked = []
    monkeypatch.setattr(overlay, "draw_overlay", lambda *_, **named: asked.append(named["legend"])
                        or np.zeros((8, 8, 3), np.uint8))  # fmt: skip
    for origins in (["detector"], ["detector", "interpolated"]):
        result.tracks["origin"] = np.resize(origins, len(result.tracks))
        write_overlays(series(3), result, {}, lambda *_: None, [], lambda names: None)
    explained = [Part("dashed: filled in") in legend for legend in asked]
    assert explained == [False] * 3 + [True] * 3


def test_the_video_shows_every_good_frame(run, series):
    result = run(series(6, damaged=(1, 4)))
    pictures = decoded(result.folder / "overlay.mp4")
    assert len(pictures) == 4
    assert {picture.shape for picture in pictures} == {(10 * 48 + CAPTION_PX, 10 * 64, 3)}
    stills = sorted(path.name for path in (result.folder / "figures").glob("*.png"))
    assert stills == ["overlay_000000.png", "overlay_000002.png", "overlay_000005.png"]
    # The first good frame is 0, the last 5; H.264 loses a little.
    for index, position in ((0, 0), (2, 1), (5, 3)):
        shown = still(result.folder / f"figures/overlay_{index:06d}.png").astype(int)
        assert np.abs(shown - pictures[position]).mean() < 25
        others = [np.abs(shown - picture).mean() for picture in pictures]
        assert int(np.argmin(others)) == position


def test_the_video_is_read_back_with_all_its_contrast(run, series):
    path = run(series(2)).folder / "overlay.mp4"
    with ds.open(path) as frames:
        read = frames.read(1)
    colours = decoded(path)[1] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read - colours).mean() < 1


def test_a_still_is_the_picture_of_its_frame(run, series, host):
    frames = series(2)
    result = run(frames, tracker=None)
    rows = result.detections[result.detections["frame"] == 1]
    expected = draw_overlay(frames[1], rows, host.defect_types(), zoom=10)
    shown = still(result.folder / "figures/overlay_000001.png")
    np.testing.assert_array_equal(shown, expected)


def test_tracks_are_drawn_with_their_tails(run, series):
    tracked = run(series(3))
    with_numbers = still(tracked.folder / "figures/overlay_000002.png")
    plain = run(series(3), tracker=None, overwrite=True)
    without = still(plain.folder / "figures/overlay_000002.png")
    yellow = [(shown == [255, 255, 0]).all(axis=2).sum() for shown in (with_numbers, without)]
    assert yellow[0] >= 10
    assert yellow[1] == 0


@pytest.mark.parametrize(
    ("width", "height", "zoom"),
    [(64, 48, 10), (130, 130, 5), (300, 300, 2), (700, 700, 2), (701, 500, 1), (60, 700, 2),
     (60, 350, 4), (1, 1, 600)],
)  # fmt: skip
def test_small_frames_are_enlarged_until_the_strip_has_room(width, height, zoom):
    assert overlay_zoom(width, height) == zoom


def test_all_frames_of_a_run_have_the_strip_of_the_fullest(run, series, host):
    result = run(series(2))
    types = {f"type {k}": ds.DefectType(f"type {k}", f"Defects of kind {k}", "ellipse")
             for k in range(9)}  # fmt: skip
    result.tracks["defect_type"] = np.resize(list(types), len(result.tracks))
    write_overlays(series(2), result, types, lambda *_: None, [], lambda names: None)
    shapes = {picture.shape for picture in decoded(result.folder / "overlay.mp4")}
    ((height, width, _),) = shapes
    assert width == 640
    assert height > 480 + CAPTION_PX


@pytest.mark.parametrize("shape", [(33, 41), (21, 701)])
def test_odd_sides_are_padded_to_even_ones(run, shape):
    rng = np.random.default_rng(0)
    frames = [ds.Frame(rng.integers(0, 4000, shape, dtype=np.uint16), k) for k in range(3)]
    result = run(frames)
    zoom = overlay_zoom(shape[1], shape[0])
    assert zoom == (15 if shape[1] == 41 else 1)
    pictures = decoded(result.folder / "overlay.mp4")
    height, width = zoom * shape[0] + CAPTION_PX, zoom * shape[1]
    assert [p.shape for p in pictures] == [(height + height % 2, width + width % 2, 3)] * 3
    assert still(result.folder / "figures/overlay_000000.png").shape == (height, width, 3)


def test_frames_of_several_sizes_share_one_video(run, series):
    result = run(series(3, odd=1), tracker=None, mixed_sizes=True)
    pictures = decoded(result.folder / "overlay.mp4")
    assert [p.shape for p in pictures] == [(10 * 50 + CAPTION_PX, 640, 3)] * 3
    assert pictures[0][-3:].max() < 40  # the smaller frame ends earlier


def test_region_and_masks_of_a_run_are_shown(run, series):
    name = "figures/overlay_000000.png"
    part = {"roi": (0, 0, 40, 48), "masks": ["0,0,10,48"]}
    shown = still(run(series(1), tracker=None, **part).folder / name)
    plain = still(run(series(1), tracker=None, overwrite=True).folder / name)
    ratio = shown[CAPTION_PX:].astype(float) / np.maximum(plain[CAPTION_PX:], 1)
    bright = plain[CAPTION_PX:].min(axis=2) > 100
    for x0, x1, light in ((0, 80, 0.5), (120, 380, 1.0), (420, 640, 0.5)):
        assert np.median(ratio[:, x0:x1][bright[:, x0:x1]]) == pytest.approx(light, abs=0.05)


def test_a_colon_in_the_name_of_the_folder_is_no_protocol(host, series, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    result = pipeline.run(series(2), "12:30", figures=False)
    assert len(decoded(tmp_path / result.folder / "overlay.mp4")) == 2


def test_another_encoder_is_taken_where_the_best_is_missing(run, series, monkeypatch):
    missing = Encoder("no-such-encoder")
    monkeypatch.setattr(overlay_video, "ENCODERS", (missing, *overlay_video.ENCODERS[2:]))
    result = run(series(3))
    pictures = decoded(result.folder / "overlay.mp4")
    shown = still(result.folder / "figures/overlay_000000.png").astype(int)
    assert len(pictures) == 3
    assert np.abs(shown - pictures[0]).mean() < 25
    monkeypatch.setattr(overlay_video, "ENCODERS", (missing,))
    result = run(series(3), overwrite=True)
    assert not (result.folder / "overlay.mp4").exists()
    assert len(result.info["figures"]) == 3
    assert [text for text in result.warnings if text.startswith("there is no overlay.mp4")]


def test_a_run_without_detections_has_a_video_too(host, series, tmp_path):
    pipeline = ds.Pipeline("find", options={"find": {"boxes": 0}}, analyses=[], host=host)
    result = pipeline.run(series(2), tmp_path / "run", figures=False)
    assert len(decoded(result.folder / "overlay.mp4")) == 2


def test_a_single_frame_has_a_still_and_a_video(run, series):
    result = run(series(1))
    assert len(decoded(result.folder / "overlay.mp4")) == 1
    assert [p.name for p in (result.folder / "figures").iterdir()] == ["overlay_000000.png"]


class Lines(ds.Detector):
    """One line a frame, from corner to corner."""

    defect_types = ("line",)

    def detect(self, frames):
        return [
            ds.Instances(f.shape, [[4, 4, 60, 44]], defect_types="line", lines=[[[4, 4], [60, 44]]])
            for f in frames
        ]


@pytest.mark.parametrize("registered", [True, False])
def test_lines_of_a_run_are_drawn(series, tmp_path, monkeypatch, registered):
    @ds.hookimpl
    def defectscope_detectors():
        return [ds.ComponentSpec("lines", "Test lines.", "lines_for_the_overlay:Lines")]

    @ds.hookimpl
    def defectscope_defect_types():
        return [TYPES["line"]] if registered else []

    monkeypatch.setitem(sys.modules, "lines_for_the_overlay", SimpleNamespace(Lines=Lines))
    host = isolated_host(
        SimpleNamespace(
            defectscope_detectors=defectscope_detectors,
            defectscope_defect_types=defectscope_defect_types,
        )
    )
    result = ds.Pipeline("lines", analyses=[], host=host).run(
        series(2), tmp_path / "run", figures=False
    )
    shown = still(result.folder / "figures/overlay_000000.png")
    x, y = 10 * 32, 10 * 24 + CAPTION_PX
    middle = shown[y - 2 : y + 2, x - 2 : x + 2].reshape(-1, 3).astype(int)
    colour = TYPES["line"].colour if registered else FALLBACK_COLOUR
    assert np.abs(middle - rgb(colour)).max(axis=1).min() < 30


def test_a_frame_that_became_unreadable_is_left_out(run, series):
    frames = series(4)
    result = run(frames)
    frames.damaged = (2,)
    told = []
    write_overlays(frames, result, {}, lambda *what: told.append(what), [], lambda names: None)
    assert len(decoded(result.folder / "overlay.mp4")) == 3
    assert [what[0] for what in told] == ["overlay"] * 3


def test_nothing_half_written_stays_behind(run, series, monkeypatch):
    frames = series(3)
    result = run(frames, overlay=False)

    def fail(*_, **__):
        raise RuntimeError("the encoder broke")

    monkeypatch.setattr(overlay, "draw_overlay", fail)
    with pytest.raises(RuntimeError, match="the encoder broke"):
        write_overlays(frames, result, {}, lambda *_: None, [], lambda names: None)
    names = {path.name for path in result.folder.iterdir()}
    assert not any("overlay" in name for name in names)
