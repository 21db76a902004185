"""Masked parts: what lies in them is neither found nor missed."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.pipeline.analysing import analyse_run
from defectscope.pipeline.evaluation import evaluate
from defectscope.pipeline.masking import MaskedParts, masked_parts
from defectscope.plugins.host import PluginRecord, default_host

PLAIN = {"overlay": False, "figures": False}
SHAPE = (48, 64)  # of the frames of the series fixture


def bitmap(x0, y0, x1, y1, shape=SHAPE):
    masked = np.zeros(shape, np.uint8)
    masked[y0:y1, x0:x1] = 255
    return masked


def read(given_as, warnings=None):
    return masked_parts(given_as, default_host(), [] if warnings is None else warnings)


@given(st.floats(0, 63.99), st.floats(0, 47.99))
def test_rectangles_and_pixels_mean_the_same(x, y):
    rectangle, pixels = read([(10, 20, 30, 40)]), read([bitmap(10, 20, 30, 40)])
    inside = 10 <= x < 30 and 20 <= y < 40
    point = np.array([[x, y]])
    assert rectangle.hold(point).tolist() == pixels.hold(point).tolist() == [inside]


def test_ways_to_give_a_mask(tmp_path):
    cv2.imwrite(str(tmp_path / "bar.png"), bitmap(0, 0, 9, 9))
    for item in (tmp_path / "bar.png", str(tmp_path / "bar.png"), bitmap(0, 0, 9, 9)):
        parts = read(["5,6,7,8", " 5, 6, 7, 8", [5, 6, 7, 8], item])
        assert parts.rectangles == ((5, 6, 7, 8),) * 3
        assert parts.bitmap is not None
        assert np.count_nonzero(parts.bitmap) == 81
    assert not read([])
    assert read([]).record() is None


def test_one_mask_needs_no_list(tmp_path):
    cv2.imwrite(str(tmp_path / "bar.png"), bitmap(0, 0, 9, 9))
    for item in (tmp_path / "bar.png", str(tmp_path / "bar.png"), bitmap(0, 0, 9, 9), "5,6,7,8",
                 (5, 6, 7, 8)):  # fmt: skip
        assert read(item).record() == read([item]).record()
    rows = np.array([[5, 6, 7, 8], [1, 2, 3, 4]])
    assert read(rows[0]).rectangles == ((5, 6, 7, 8),)
    assert read(rows).rectangles == ((5, 6, 7, 8), (1, 2, 3, 4))


@pytest.mark.parametrize("given_as", [(1, 2, 3), 5, None])
def test_what_is_no_mask_by_itself(given_as):
    with pytest.raises(ds.OptionError, match=r"X0,Y0,X1,Y1 in whole px.*found"):
        read(given_as)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_a_mask_of_imagej_holds_where_its_values_are_not_0(tmp_path, photometric, kind):
    path, marked = tmp_path / "mask.tif", bitmap(0, 0, 9, 9).astype(kind)
    tifffile.imwrite(
        path, marked, photometric=photometric, description="ImageJ=1.54f\n", metadata=None
    )
    np.testing.assert_array_equal(read([path]).bitmap, marked != 0)


def test_other_pictures_mask_where_they_are_not_black(tmp_path):
    path, marked = tmp_path / "mask.tif", bitmap(0, 0, 9, 9)
    tifffile.imwrite(path, 255 - marked, photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(read([path]).bitmap, marked != 0)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "5,5,5,9", "9,9,1,1", "1.5,2,3,4", ""])
def test_what_is_no_mask(text):
    with pytest.raises(ds.OptionError, match=r"X0,Y0,X1,Y1 in whole px.*found"):
        read([text])


def test_files_that_cannot_be_masks(tmp_path):
    with pytest.raises(ds.InputError, match="no file or folder"):
        read([str(tmp_path / "nowhere.png")])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(ds.InputError, match=r"broken\.png"):
        read([tmp_path / "broken.png"])
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), bitmap(0, 0, 9, 9))
    (tmp_path / "broken.png").unlink()
    with pytest.raises(ds.InputError, match=r"one image, but .* holds 2"):
        read([tmp_path])
    with pytest.raises(ds.OptionError, match="array 1 is 64 x 48 px, array 2 is 20 x 10 px"):
        read([bitmap(0, 0, 9, 9), np.ones((10, 20))])


def test_a_mask_that_masks_nothing_is_said():
    warnings = []
    parts = read([np.zeros(SHAPE)], warnings)
    assert warnings == ["the mask array 1 masks nothing: every pixel is 0"]
    assert not parts.hold(np.array([[3.0, 3.0]])).any()


@pytest.mark.parametrize(("rows", "percent"), [(48, 100), (47, 97), (44, 91), (43, None)])
def test_a_mask_that_leaves_nearly_nothing_is_said(rows, percent):
    warnings = []
    mask = np.zeros(SHAPE)
    mask[:rows] = 1
    read([mask], warnings)
    said = f"the mask array 1 masks {percent} % of the frame; everything but 0 is masked"
    assert warnings == ([] if percent is None else [said])


def test_what_does_not_fit_the_frame_is_refused():
    with pytest.raises(ds.OptionError, match=r"0,0,65,9 does not lie inside a\.png \(64 x 48 px\)"):
        read(["0,0,65,9"]).check(SHAPE, "a.png")
    read(["0,0,65,9"]).check(SHAPE, "a.png", mixed_sizes=True)
    with pytest.raises(ds.OptionError, match=r"array 1 is 20 x 10 px, but a\.png is 64 x 48 px"):
        read([np.ones((10, 20))]).check(SHAPE, "a.png")


def test_they_survive_pickling_and_the_run_folder(tmp_path):
    parts = read(["5,6,7,8", bitmap(1, 2, 3, 4)])
    cv2.imwrite(str(tmp_path / "mask.png"), bitmap(1, 2, 3, 4))
    again = MaskedParts.recorded(parts.record(), tmp_path / "mask.png")
    for other in (again, pickle.loads(pickle.dumps(parts))):
        assert other.record() == parts.record()
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    for name in ("gone", "empty", "text"):
        with pytest.raises(ds.InputError, match="missing or damaged"):
            MaskedParts.recorded(parts.record(), tmp_path / f"{name}.png")
    assert not MaskedParts.recorded(None, tmp_path / "gone.png")


@pytest.fixture
def run(host, series, tmp_path):
    def start(name="run", count=4, **more):
        pipeline = ds.Pipeline("find", ["axes"], options={"find": {"boxes": 8}}, host=host)
        return pipeline.run(series(count), tmp_path / name, **PLAIN, **more)

    return start


def centres(result):
    found = result.detections
    x, y = (found[["x_min", "y_min"]].to_numpy() + found[["x_max", "y_max"]].to_numpy()).T / 2
    return x, y


def test_a_run_drops_what_lies_in_masked_parts(run):
    whole, masked = run("whole"), run("masked", masks=["0,0,30,48", bitmap(0, 24, 64, 48)])
    x, y = centres(whole)
    free = ~((x < 30) | (y >= 24))
    assert 0 < free.sum() < len(x)
    assert masked.detections["x_min"].tolist() == whole.detections["x_min"][free].tolist()
    assert masked.frames["count"].sum() == free.sum()
    assert masked.detections.groupby("frame")["detection"].min().unique().tolist() == [0]


def test_masks_stay_in_the_whole_frame_under_a_roi(run):
    roi = (20, 10, 64, 48)
    masked = run("masked", masks=[(20, 10, 40, 48)], roi=roi)
    assert len(masked.detections) > 0
    assert (centres(masked)[0] >= 40).all()


def test_a_run_keeps_its_masks_and_resumes_under_no_others(run, tmp_path):
    masks = ["0,0,30,48", bitmap(0, 24, 64, 48)]
    run(masks=masks)
    plan = json.loads((tmp_path / "run/run.json").read_text())["plan"]
    assert plan["masks"]["rectangles"] == [[0, 0, 30, 48]]
    assert ds.load_run(tmp_path / "run").masks.record() == plan["masks"]
    run(masks=masks, resume=True)
    for other in ([], ["0,0,31,48", masks[1]], [masks[0], bitmap(0, 25, 64, 48)]):
        with pytest.raises(ds.UsageError, match="cannot be resumed: its masks"):
            run(masks=other, resume=True)
    run(overwrite=True)
    assert not (tmp_path / "run/mask.png").exists()


def test_wrong_masks_stop_the_run(run):
    with pytest.raises(ds.OptionError, match="does not lie inside"):
        run("a", masks=["0,0,999,9"])
    with pytest.raises(ds.OptionError, match="a mask needs the size of the frames"):
        run("b", masks=[np.ones((9, 9))])


def test_truth_in_masked_parts_is_left_out(run, host):
    whole = run("whole")
    images = [
        LabelledImage(
            f"frame{k:03d}.png",
            ds.Instances(
                SHAPE,
                rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(),
                defect_types=rows["defect_type"].to_numpy(),
            ),
            k,
        )
        for k, rows in whole.detections.groupby("frame")
    ]
    masks = ["0,0,30,48", bitmap(0, 24, 64, 48)]
    masked = run("masked", masks=masks)
    scores = evaluate(masked, Dataset(images), host=host)
    x, y = centres(whole)
    hidden = int(((x < 30) | (y >= 24)).sum())
    assert scores.overall.f1 == 1
    assert scores.overall.false_negatives == 0
    assert any(f"{hidden} labelled defects with their centre in them" in t for t in scores.warnings)
    assert not any("masked" in t for t in evaluate(whole, Dataset(images), host=host).warnings)


@pytest.mark.parametrize("mask", [(0, 20, 30, 48), bitmap(0, 20, 30, 48)])
def test_densities_are_divided_by_what_is_not_masked(host, series, tmp_path, mask):
    host.register(_density(), PluginRecord("density", "density", "1", "density"))
    pipeline = ds.Pipeline("find", analyses=["number-density"], host=host)
    pipeline.run(series(2), tmp_path / "run", masks=[mask], overlay=False)
    table = pd.read_csv(tmp_path / "run" / "figures" / "number-density.csv")
    area = 48 * 64 - 30 * 28
    assert table["area_px"].tolist() == [area] * 2
    done = analyse_run(tmp_path / "run", host, ["number-density"])
    assert done.findings[0].table["area_px"].tolist() == [area] * 2
    assert "Masked parts (27.3 %) are left out of the area." in done.findings[0].note
    assert "27.3 %" in done.report.read_text(encoding="utf-8")
    (part,) = analyse_run(tmp_path / "run", host, ["number-density"], roi=(20, 10, 40, 30)).findings
    assert part.table["area_px"].tolist() == [20 * 20 - 10 * 10] * 2


def _density():
    class Density:
        @ds.hookimpl
        def defectscope_analyses(self):
            target = "defectscope.analysis.density:NumberDensity"
            return [ds.ComponentSpec("number-density", "Density.", target)]

    return Density()
