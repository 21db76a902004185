"""Predictions against truth: joined rightly, counted by hand, and fit for JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.line_masks import mask_of_line
from defectscope.core.masks import Mask
from defectscope.core.metrics import Counts, count_matches
from defectscope.pipeline.evaluation import evaluate
from defectscope.pipeline.labels import save_dataset
from defectscope.pipeline.score_sweep import SWEEP_IOUS, SWEEP_SCORES
from defectscope.plugins.host import PluginHost, default_host
from defectscope.plugins.testing import isolated_host

PLAIN = {"overlay": False, "figures": False}
SHAPE = (48, 64)  # of the frames of the series fixture
LOOP, DOT = "dislocation-loop", "black dot"


def boxes_at(*corners, size=6.0):
    """Return squares with their upper left corners at (x, y)."""
    return np.array([[x, y, x + size, y + size] for x, y in corners], float).reshape(-1, 4)


def instances(boxes, names=DOT, shape=SHAPE, **more):
    return ds.Instances(shape, boxes, defect_types=names, **more)


def image(name, found, frame=None):
    return LabelledImage(name, found, frame)


def compare(predicted, true, host, **options):
    """Evaluate one frame that both sides call a.png."""
    return evaluate(
        Dataset([image("a.png", predicted)]), Dataset([image("a.png", true)]), host=host, **options
    )


def test_an_empty_truth_is_said(host):
    predicted = Dataset([image(f"{k}.png", instances(boxes_at((3, 3)))) for k in range(9)])
    with pytest.raises(ds.UsageError, match=r"has no image and the prediction 0, 1, 2, …$"):
        evaluate(predicted, Dataset([]), host=host)
    nothing = compare(predicted.images[0].instances, instances(boxes_at()), host)
    assert (nothing.overall.precision, nothing.overall.f1) == (0, None)
    assert "the truth has no label that counts" in nothing.warnings[0]
    ignored = instances(boxes_at((3, 3)), ignore=[True])
    excused = compare(predicted.images[0].instances, ignored, host)
    assert "all that was found, but for what fits ignored truth, is taken" in excused.warnings[0]
    assert excused.overall == Counts()


def truth_of(result, **changes):
    """Return what a run found, as labelled data."""
    images = []
    for row in result.frames.to_dict("records"):
        rows = result.detections[result.detections["frame"] == row["frame"]]
        boxes = rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy()
        found = instances(boxes, rows["defect_type"].to_numpy())
        images.append(image(f"labels/{row['source'].rsplit('.', 1)[0]}.jpg", found, row["frame"]))
    return Dataset(images, **changes)


@pytest.fixture
def run(host, series, tmp_path):
    """Run the test detector, with axes and a tracker, and return the result."""

    def make(frames=None, name="run", tracker="by-rank", options=None, **settings):
        pipeline = ds.Pipeline("find", ["axes"], tracker, options=options, host=host)
        return pipeline.run(frames or series(3), tmp_path / name, **PLAIN, **settings)

    return make


def test_a_run_against_itself_is_perfect(run, host):
    result = run()
    scores = evaluate(result, truth_of(result), host=host)
    assert scores.overall == Counts(9, 0, 0)
    assert scores.overall.f1 == 1
    assert scores.per_frame["name"].tolist() == ["frame000", "frame001", "frame002"]
    assert scores.per_frame["frame"].tolist() == [0, 1, 2]
    assert scores.sizes["count_error"] == 0
    assert scores.sizes["median_side_error_per_frame"] == 0
    assert scores.warnings == []
    assert scores.confusion is None
    assert scores.sweep is None
    assert scores.tracking is None


def test_counts_of_a_frame_by_hand(host):
    # Overlaps: 4 of 8 columns shared is 1/3; a shift by 1 of 6 is 5/7; one alone on each side.
    predicted = instances(np.vstack([boxes_at((11, 10), (40, 5)), [[20, 20, 26, 26]]]))
    true = instances(np.vstack([boxes_at((10, 10)), [[23, 20, 29, 26]], boxes_at((50, 30))]))
    loose = compare(predicted, true, host, iou=0.3)
    assert loose.overall == Counts(2, 1, 1)
    strict = compare(predicted, true, host, iou=0.5)
    assert strict.overall == Counts(1, 2, 2)
    assert strict.iou == 0.5
    (row,) = strict.per_frame.to_dict("records")
    assert (row["predicted"], row["true"], row["true_positives"]) == (3, 3, 1)
    assert row["precision"] == row["recall"] == pytest.approx(1 / 3)
    assert row["predicted_median_side_px"] == row["true_median_side_px"] == 6


def test_what_fits_ignored_truth_has_no_part_in_a_frame(host):
    known, ignored = [5.0, 5, 11, 11], [20.0, 5, 50, 35]
    predicted = instances([known, ignored])
    true = instances([known, ignored], ignore=[False, True])
    (row,) = compare(predicted, true, host).per_frame.to_dict("records")
    assert (row["predicted"], row["true"]) == (1, 1)
    assert (row["predicted_median_side_px"], row["true_median_side_px"]) == (6, 6)


def test_frames_are_joined_by_name_in_whatever_order_and_folder(host):
    names = ["b.tif", "a.tif", "c.tif"]
    found = {name: instances(boxes_at((3 * k, 5))) for k, name in enumerate(names)}
    predicted = Dataset([image(f"run/{name}", found[name]) for name in names])
    true = Dataset([image(name.replace("tif", "png"), found[name]) for name in sorted(names)])
    scores = evaluate(predicted, true, host=host, iou=0.99)
    assert scores.overall == Counts(3, 0, 0)
    assert scores.per_frame["name"].tolist() == ["a", "b", "c"]


class Stack(ds.FrameSequence):
    """A series whose frames are pages of one file."""

    def __init__(self, inner, name="video.tif"):
        self.inner, self.indices, self.warnings = inner, inner.indices, []
        self.names = tuple(f"{name}#{k}" for k in inner.indices)

    def read(self, position):
        return self.inner.read(position)


@pytest.mark.parametrize("names", ["other{}.png", "video.tif#{}", "labels/video#{}"])
def test_frames_of_a_stack_are_joined_by_their_index(run, host, series, names):
    result = run(Stack(series(4)))
    found = truth_of(result).images
    # Only two of the frames are labelled.
    true = Dataset([image(names.format(k), found[k].instances, k) for k in (3, 1)])
    scores = evaluate(result, true, host=host, iou=0.9)
    assert scores.overall == Counts(6, 0, 0)
    assert scores.per_frame["frame"].tolist() == [3, 1]
    assert scores.warnings == []


def test_an_index_does_not_join_files_of_their_own(run, host):
    result = run()
    true = Dataset([image(f"other{k}.png", i.instances, k) for k, i in
                    enumerate(truth_of(result).images)])  # fmt: skip
    with pytest.raises(ds.UsageError, match="joined by file name"):
        evaluate(result, true, host=host)


def test_nothing_in_common_says_what_was_looked_for(host):
    predicted = Dataset([image("a.png", instances(boxes_at((1, 1))))])
    true = Dataset([image(f"labels/f{k}.jpg", instances(boxes_at((1, 1)))) for k in range(5)])
    message = r"labels/f0\.jpg, labels/f1\.jpg, labels/f2\.jpg, … and the prediction a$"
    with pytest.raises(ds.UsageError, match=message):
        evaluate(predicted, true, host=host)
    with pytest.raises(ds.UsageError, match="no frame"):
        evaluate(Dataset([]), true, host=host)


def test_labels_without_a_prediction_are_left_out_and_named(run, host):
    result = run()
    extra = [image(f"late{k}.png", instances(boxes_at((1, 1)))) for k in range(7)]
    true = Dataset([*truth_of(result).images, *extra])
    scores = evaluate(result, true, host=host)
    assert scores.overall.f1 == 1
    (text,) = scores.warnings
    assert text.startswith("7 labelled images have no prediction and are left out: late0.png")
    assert text.endswith("late4.png, …")


def test_damaged_frames_have_no_prediction(run, host, series):
    result = run(series(3, damaged=(1,)))
    true = truth_of(run(series(3), "whole"))
    scores = evaluate(result, true, host=host)
    assert scores.overall == Counts(6, 0, 0)
    assert scores.per_frame["frame"].tolist() == [0, 2]
    assert "frame001.jpg" in scores.warnings[0]


def test_warnings_of_both_sides_are_passed_on(run, host):
    result = run()
    true = truth_of(result, warnings=("two labels were empty",))
    assert evaluate(result, true, host=host).warnings == ["two labels were empty"]


def test_names_that_never_agree_are_said(host):
    (warning,) = compare(
        instances(boxes_at((1, 1)), LOOP), instances(boxes_at((1, 1)), "my loop"), host
    ).warnings
    assert f"defect types {LOOP}, the truth my loop" in warning
    both = instances(boxes_at((1, 1), (20, 20)), [LOOP, "my loop"])
    assert compare(instances(boxes_at((1, 1)), LOOP), both, host).warnings == []


def test_images_of_different_sizes_cannot_be_compared(host):
    predicted = instances(boxes_at((1, 1)), shape=(48, 64))
    true = instances(boxes_at((1, 1)), shape=(96, 128))
    message = r"a\.png is \(128, 96\) px .* in the truth but \(64, 48\) px in the prediction"
    with pytest.raises(ds.UsageError, match=message):
        compare(predicted, true, host)


def test_two_frames_of_one_name_cannot_be_joined(run, host, series):
    frames = series(2)
    frames.names = ("monday/f.png", "tuesday/f.png")
    with pytest.raises(ds.UsageError, match=r"'f' \(monday/f\.png and tuesday/f\.png\)"):
        evaluate(run(frames), Dataset([image("f.png", instances(boxes_at((1, 1))))]), host=host)


def test_file_names_that_look_like_numbers_are_names(run, host):
    rng = np.random.default_rng(0)
    frames = [
        ds.Frame(rng.integers(0, 255, SHAPE, dtype=np.uint8), k, source=name)
        for k, name in enumerate(["007", "1.50"])
    ]
    result = run(frames)
    found = [i.instances for i in truth_of(result).images]
    true = Dataset([image("007.png", found[0]), image("1.png", found[1])])
    assert evaluate(result, true, host=host, iou=0.9).overall == Counts(6, 0, 0)


def test_ignored_truth_is_neither_hit_nor_miss(host):
    corners = [(1, 1), (20, 20), (40, 30)]
    true = instances(boxes_at(*corners), ignore=[False, True, True])
    found = instances(boxes_at((1, 1), (20, 20)))
    scores = compare(found, true, host)
    assert scores.overall == Counts(1, 0, 0)
    assert scores.per_frame["true"].tolist() == [1]
    assert scores.per_frame["predicted"].tolist() == [1]
    assert scores.sizes["true_count"] == 1
    assert compare(instances(boxes_at((5, 40))), true, host).overall == Counts(0, 1, 1)


def test_types_are_counted_apart_and_confused_by_hand(host):
    corners = [(0, 0), (10, 0), (20, 0), (30, 0), (40, 0)]
    true = instances(boxes_at(*corners), [LOOP, LOOP, LOOP, DOT, DOT])
    # Two loops right, one taken for a dot, one dot missed, one dot right, one loop invented.
    found = instances(
        boxes_at((0, 0), (10, 0), (20, 0), (30, 0), (50, 30)), [LOOP, LOOP, DOT, DOT, LOOP]
    )
    scores = compare(found, true, host)
    assert scores.overall == Counts(4, 1, 1)
    assert scores.by_type == {LOOP: Counts(2, 1, 1), DOT: Counts(1, 1, 1)}
    assert scores.confusion == {
        "names": [LOOP, DOT],
        "counts": [[2, 1, 0], [0, 1, 1], [1, 0, 0]],
        "class_accuracy": {LOOP: 2 / 3, DOT: 1.0},
    }


def test_a_type_that_only_ignored_truth_has_is_not_scored(host):
    true = instances(boxes_at((0, 0), (10, 0)), [DOT, "uncertain"], ignore=[False, True])
    scores = compare(instances(boxes_at((0, 0), (10, 0))), true, host)
    assert list(scores.by_type) == [DOT]
    assert scores.confusion is None
    assert scores.overall == Counts(1, 0, 0)


def random_pair(seed, count=14):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, [50, 35], (count, 2))
    true = instances(np.hstack([corner, corner + rng.uniform(4, 12, (count, 2))]))
    moved = true.boxes + rng.normal(0, 1.2, (count, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    return instances(moved, scores=rng.random(count)), true


def test_the_best_of_the_sweep_is_that_of_every_point_tried(host):
    pairs = [random_pair(seed) for seed in range(3)]
    names = ["a.png", "b.png", "c.png"]
    predicted = Dataset([image(n, p) for n, (p, _) in zip(names, pairs, strict=True)])
    true = Dataset([image(n, t) for n, (_, t) in zip(names, pairs, strict=True)])
    sweep = evaluate(predicted, true, host=host, sweep=True).sweep
    tried = {}
    for least in SWEEP_SCORES:
        for iou in SWEEP_IOUS:
            total = Counts()
            for found, known in pairs:
                total += count_matches(found[found.scores >= least], known, iou)
            tried[least, iou] = total.f1
    best = max(tried.values())
    assert sweep["best"]["f1"] == best
    least, iou = sweep["best"]["score"], sweep["best"]["iou"]
    at = [count_matches(found[found.scores >= least], known, iou) for found, known in pairs]
    assert sum(at, Counts()).f1 == best
    table = {
        (score, iou): f1
        for score, row in zip(sweep["scores"], sweep["f1"], strict=True)
        for iou, f1 in zip(sweep["ious"], row, strict=True)
    }
    assert table == tried
    assert (len(SWEEP_SCORES), len(SWEEP_IOUS)) == (15, 9)


def test_the_best_of_a_sweep_is_no_score_under_which_nothing_was_kept(host):
    boxes = boxes_at((3, 3), (20, 3), (40, 3))
    kept = instances(boxes, scores=[0.3125, 0.8, 0.9])
    found = compare(kept, instances(boxes), host, sweep=True)
    assert found.sweep["best"] == {"f1": 1, "score": 0.3125, "iou": 0.1}
    assert found.warnings == [
        "F1 is best with all that was found: nothing with a score below 0.312 was kept; detect "
        "with a lower least score to know whether that is better still"
    ]
    higher = compare(kept, instances(boxes[1:]), host, sweep=True)
    assert higher.sweep["best"] == {"f1": 1, "score": 0.3714, "iou": 0.1}
    assert not higher.warnings


def test_predictions_of_one_score_have_no_lower_one_to_try(host):
    found = instances(boxes_at((3, 3), (20, 3)))
    assert not compare(found, found, host, sweep=True).warnings


def test_without_true_labels_a_sweep_has_no_best(host):
    found = instances(boxes_at((3, 3)))
    sweep = compare(found, instances(boxes_at()), host, sweep=True).sweep
    assert sweep["best"] == {"f1": None, "score": None, "iou": None}


@pytest.mark.parametrize("iou", [0, -0.1, 1.01, float("nan"), float("inf"), "0.5", None])
def test_an_overlap_outside_its_limits_is_refused(host, iou):
    found = instances(boxes_at((1, 1)))
    with pytest.raises(ds.OptionError, match="above 0 and at most 1, found"):
        compare(found, found, host, iou=iou)
    assert compare(found, found, host, iou=1).overall == Counts(1, 0, 0)


def with_tracks(dataset, ids):
    images = [
        replace(i, instances=i.instances.with_measurements({"track_id": ids}, {}))
        for i in dataset.images
    ]
    return replace(dataset, images=images)


def test_tracks_are_scored_where_both_sides_have_them(run, host):
    result = run()
    true = with_tracks(truth_of(result), [7, 9, 4])
    scores = evaluate(result, true, host=host).tracking
    assert scores == {
        "mota": 1.0, "idf1": 1.0, "id_switches": 0, "fragmentations": 0, "mostly_tracked": 1.0,
        "true_tracks": 3, "matches": 9, "misses": 0, "false_positives": 0,
    }  # fmt: skip
    assert evaluate(run(name="untracked", tracker=None), true, host=host).tracking is None
    assert evaluate(result, truth_of(result), host=host).tracking is None
    assert evaluate(truth_of(result), true, host=host).tracking is None


def test_tracks_of_labels_are_scored_by_sequence_where_frame_indices_begin_anew(run, host):
    once = truth_of(run())
    again = [replace(i, file_name=f"labels/again-{k}.jpg") for k, i in enumerate(once.images)]
    both = replace(once, images=[*once.images, *again])
    scores = evaluate(with_tracks(both, [0, 1, 2]), with_tracks(both, [7, 9, 4]), host=host)
    assert scores.warnings == []
    assert scores.tracking == {
        "mota": 1.0, "idf1": 1.0, "id_switches": 0, "fragmentations": 0, "mostly_tracked": 1.0,
        "true_tracks": 6, "matches": 18, "misses": 0, "false_positives": 0,
    }  # fmt: skip


def test_tracks_in_a_table_of_their_own_are_scored_in_place_of_those_of_the_run(
    run, host, tmp_path
):
    result, untracked = run(), run(name="untracked", tracker=None)
    true = with_tracks(truth_of(result), [7, 9, 4])
    own = evaluate(result, true, host=host).tracking
    assert evaluate(untracked, true, tracks=result.tracks, host=host).tracking == own
    table = tmp_path / "relinked.csv"
    result.tracks.assign(particle=range(len(result.tracks))).to_csv(table, index=False)
    scores = evaluate(result, true, tracks=table, host=host).tracking
    assert (scores["id_switches"], scores["matches"]) == (6, 9)
    bare = evaluate(result, truth_of(result), tracks=result.tracks, host=host)
    assert bare.warnings == ["tracks are not scored: no label of the truth has a track_id"]
    with pytest.raises(ds.UsageError, match="must be those of a run, found labelled predictions"):
        evaluate(true, true, tracks=table, host=host)
    with pytest.raises(ds.InputError, match="there is no table of tracks"):
        evaluate(result, true, tracks=tmp_path / "gone.csv", host=host)


def test_tracks_of_labels_are_scored_as_those_of_a_run(run, host):
    result = run()
    true, found = (with_tracks(truth_of(result), ids) for ids in ([7, 9, 4], [0, 1, 2]))
    expected = evaluate(result, true, host=host).tracking
    assert evaluate(found, true, host=host).tracking == expected
    # Without an identity nothing is tracked: two of three are missed.
    one = with_tracks(truth_of(result), [5, np.nan, np.nan])
    scores = evaluate(one, true, host=host).tracking
    assert (scores["matches"], scores["misses"], scores["false_positives"]) == (3, 6, 0)
    flagged = Dataset([
        replace(i, instances=replace(i.instances, ignore=np.ones(3, bool))) for i in found.images
    ])  # fmt: skip
    away = with_tracks(truth_of(result), [5, np.nan, np.nan])
    assert evaluate(flagged, away, host=host).tracking["false_positives"] == 0
    again = with_tracks(Dataset(true.images[:1]), [7, 7, 4]).images
    twice = evaluate(Dataset([*again, *found.images[1:]]), true, host=host)
    assert twice.tracking is None
    assert twice.warnings == [
        "tracks are not scored: a track can be in a frame once, but track_id 7 is in frame "
        f"{again[0].frame} twice in the predictions"
    ]


def test_tracks_in_images_without_frame_indices_are_not_scored(run, host):
    images = with_tracks(truth_of(run()), [7, 9, 4]).images
    bare = Dataset([replace(image, frame=None) for image in images])
    found = evaluate(bare, bare, host=host)
    assert (found.overall.f1, found.tracking) == (1, None)
    assert found.warnings == ["tracks are not scored: there are images without a frame index"]


def test_swapped_identities_show(run, host):
    result = run()
    first, *rest = with_tracks(truth_of(result), [0, 1, 2]).images
    later = with_tracks(Dataset(rest), [1, 0, 2]).images
    scores = evaluate(result, Dataset([first, *later]), host=host).tracking
    assert scores["id_switches"] == 2
    # The one frame before the swap is worth less than the two after it.
    assert scores["idf1"] == pytest.approx(7 / 9)


def test_tracks_of_lines_go_by_their_courses(run):
    def upright(rows, by=0.0):
        x, y = rows["x"].to_numpy() + by, rows["y"].to_numpy()
        return [np.array([[x[k], y[k] - 10], [x[k], y[k] + 10]]) for k in range(len(rows))]

    result = run()
    corners = ["x_min", "y_min", "x_max", "y_max"]
    for name in ("detections", "tracks"):
        table = getattr(result, name).assign(defect_type="dislocation", length_px=20.0)
        table[corners] = [polyline_box(line) for line in upright(table)]
        table.to_parquet(result.folder / f"{name}.parquet")
    found = ds.load_run(result.folder).detections
    ends = pd.concat([found, found], keys=[0, 1], names=["vertex", None]).reset_index("vertex")
    ends["y"] += 20.0 * ends["vertex"] - 10
    ends[["frame", "detection", "vertex", "x", "y"]].to_parquet(result.folder / "geometry.parquet")
    images = []
    for row in truth_of(result).images:
        lines = upright(found[found["frame"] == row.frame], 1.2)
        boxes = [polyline_box(line) for line in lines]
        true = instances(boxes, "dislocation", lines=lines)
        images.append(replace(row, instances=true))
    true = with_tracks(Dataset(images), [7, 9, 4])
    scores = evaluate(result.folder, true, host=default_host())
    assert scores.overall.f1 == 0
    assert (scores.tracking["mota"], scores.tracking["idf1"]) == (1, 1)


def test_a_true_track_twice_in_a_frame_costs_the_scores_of_tracks_alone(run, host):
    result = run()
    first, *rest = with_tracks(truth_of(result), [7, 9, 4]).images
    twice = with_tracks(Dataset([first]), [7, 9, 9]).images
    found = evaluate(result, Dataset([*twice, *rest]), host=host)
    assert found.tracking is None
    assert found.overall.f1 == 1
    assert found.warnings == [
        "tracks are not scored: a track can be in a frame once, but track_id 9 is in frame "
        f"{first.frame} twice"
    ]


def test_tracks_of_several_sequences_are_scored_apart(run, host, series):
    result = run(series(6))
    images = with_tracks(truth_of(result), [0, 1, 2]).images
    true = Dataset([replace(i, frame=k % 2) for k, i in enumerate(images)])
    # The tracker of the tests takes all frames for one series.
    linked = evaluate(result, true, host=host)
    assert linked.tracking["idf1"] == pytest.approx(1 / 3)
    assert "3 of 3 particles go on from one sequence" in linked.warnings[-1]
    tracks = result.tracks
    particle = tracks["particle"] + 3 * ((tracks["frame"].rank(method="dense") - 1) // 2)
    tracks.assign(particle=particle.astype("int64")).to_parquet(result.folder / "tracks.parquet")
    apart = evaluate(ds.load_run(result.folder), true, host=host)
    found = apart.tracking
    assert (found["mota"], found["idf1"], found["id_switches"]) == (1, 1, 0)
    assert found["true_tracks"] == 9
    assert not apart.warnings


def test_what_fits_ignored_or_nameless_truth_is_no_false_alarm_for_tracks(run, host):
    result = run()
    dataset = with_tracks(truth_of(result), [0, 1, 2])
    ignored = [
        replace(i, instances=replace(i.instances, ignore=np.array([False, True, False])))
        for i in dataset.images
    ]
    scores = evaluate(result, Dataset(ignored), host=host).tracking
    assert (scores["mota"], scores["false_positives"], scores["true_tracks"]) == (1.0, 0, 2)
    nameless = with_tracks(truth_of(result), [0.0, np.nan, 2.0])
    scores = evaluate(result, nameless, host=host).tracking
    assert (scores["mota"], scores["false_positives"], scores["true_tracks"]) == (1.0, 0, 2)


def test_only_labelled_frames_count_for_tracks(run, host, series):
    result = run(series(5))
    true = with_tracks(truth_of(result), [0, 1, 2])
    scores = evaluate(result, Dataset(true.images[1:3]), host=host).tracking
    assert (scores["matches"], scores["false_positives"], scores["mota"]) == (6, 0, 1.0)


def test_truth_outside_the_region_that_was_looked_at_is_left_out(run, host):
    result = run(roi=(0, 0, 40, 48))
    inside = truth_of(result)
    far = boxes_at((45, 3), (37.5, 40))  # centres at x = 48 and 40.5
    images = [
        replace(i, instances=ds.Instances.concatenate([i.instances, instances(far)]))
        for i in inside.images
    ]
    scores = evaluate(result, Dataset(images), host=host, iou=0.5)
    assert scores.overall == Counts(9, 0, 0)
    assert scores.warnings == [
        "the run looked at the region 0,0,40,48 only; 6 labelled defects with their centre "
        "outside of it are left out"
    ]
    assert evaluate(result, inside, host=host).warnings == []


def test_area_fractions_are_of_what_was_looked_at(run, host):
    result = run(roi=(0, 0, 40, 48), masks=["0,0,10,48"])
    axes = {"major_px": "px", "minor_px": "px"}
    images = [
        replace(i, instances=i.instances.with_measurements(
            {name: np.full(len(i.instances), 6.0) for name in axes}, axes))
        for i in truth_of(result).images
    ]  # fmt: skip
    scores = evaluate(result, Dataset(images), host=host)
    (row,) = scores.sizes["by_type"].values()
    looked_at = len(images) * 30 * 48
    expected = row["true_count"] * np.pi / 4 * 36 / looked_at
    assert row["true_area_fraction"] == pytest.approx(expected)


def as_region(folder, roi):
    """Rewrite a masked run as one of the region that was not masked."""
    info = json.loads((folder / "run.json").read_text())
    info["plan"] |= {"roi": list(roi), "masks": None}
    (folder / "run.json").write_text(json.dumps(info))


@pytest.mark.parametrize("region", [False, True])
def test_what_a_run_taken_for_the_truth_did_not_look_at_is_no_false_alarm(run, formats, region):
    everywhere = run()
    rights = everywhere.detections["x_min"].add(3) >= 40
    part = run(name="part", masks=["0,0,40,48"])
    if region:
        as_region(part.folder, (40, 0, 64, 48))
    left, right = int((~rights).sum()), int(rights.sum())
    assert left
    assert right
    scores = evaluate(everywhere, part.folder, host=formats, iou=0.9)
    assert scores.overall == Counts(right, 0, 0)
    assert f"{left} found defects with their centre" in scores.warnings[-1]
    assert "the run taken for the truth" in scores.warnings[-1]
    assert (scores.tracking["false_positives"], scores.tracking["matches"]) == (0, right)
    # The area that was looked at is that of both.
    (row,) = scores.sizes["by_type"].values()
    assert row["predicted_area_fraction"] == pytest.approx(
        right * np.pi / 4 * 36 / (3 * 24 * 48), rel=1e-4
    )
    back = evaluate(part, everywhere.folder, host=formats, iou=0.9)
    assert (back.overall, back.sizes["by_type"]) == (scores.overall, scores.sizes["by_type"])


def as_masks(found):
    """Return lines of which the masks are known, five pixels wide, and not the courses."""
    return replace(found, masks=[mask_of_line(line, 5) for line in found.lines], lines=None)


def test_lines_known_by_their_masks_are_scored_as_lines():
    courses = [np.linspace([5, 10], [55, 12], 9), np.linspace([5, 30], [55, 40], 9)]
    boxes = [polyline_box(line, 2.5) for line in courses]
    lines = instances(boxes, "dislocation", lines=courses)
    for predicted, true in (
        (as_masks(lines), lines), (lines, as_masks(lines)), (as_masks(lines), as_masks(lines)),
    ):  # fmt: skip
        scores = compare(predicted[:1], true, default_host()).lines
        assert (scores.true, scores.predicted, scores.matched) == (2, 1, 1)
        assert scores.score == pytest.approx(0.5, abs=0.05)
    boxes_alone = instances(boxes, "dislocation")
    assert compare(boxes_alone, as_masks(lines), default_host()).lines is None


def as_disc(x, y, radius):
    rows, columns = np.mgrid[: 2 * radius, : 2 * radius] + 0.5 - radius
    return Mask(x, y, rows**2 + columns**2 <= radius**2)


@pytest.mark.parametrize("swapped", [False, True])
def test_what_is_known_by_its_mask_has_a_size(swapped):
    boxes = np.array([[1, 1, 21, 21], [30, 10, 46, 26]])
    masks = [as_disc(1, 1, 10), as_disc(30, 10, 8)]
    masked = instances(boxes, LOOP, masks=masks)
    axes = {name: [18.0, np.nan] for name in ("major_px", "minor_px")}
    ellipses = masked.with_measurements(axes, {})  # one of its two is known by an ellipse
    sides = (ellipses, masked) if swapped else (masked, ellipses)
    sizes = compare(*sides, default_host()).sizes
    row = sizes["diameter_by_type"][LOOP]
    known = {"predicted": row["predicted_mean_diameter_px"], "true": row["true_mean_diameter_px"]}
    assert row["matched"] == 2
    one, other = ("true", "predicted") if swapped else ("predicted", "true")
    assert known[one] == pytest.approx((20 + 16) / 2, rel=0.03)
    assert known[other] == pytest.approx((18 + 16) / 2, rel=0.03)
    population = sizes["by_type"][LOOP]
    assert population[f"{one}_area_fraction"] == pytest.approx(
        sum(mask.area_px for mask in masks) / (SHAPE[0] * SHAPE[1]), rel=0.03
    )


def test_a_mask_that_the_rim_cuts_has_no_diameter_to_compare():
    boxes = np.array([[0, 1, 10, 21], [30, 10, 46, 26]])
    half = Mask(0, 1, as_disc(0, 0, 10).bitmap[:, 10:])
    labelled = instances(boxes, LOOP, masks=[half, as_disc(30, 10, 8)])
    ellipses = {"x": [0, 38], "y": [11, 18], "angle_deg": [0, 0]}
    found = instances(boxes, LOOP, measurements={
        **ellipses, "major_px": [30, 16], "minor_px": [30, 16]
    })  # fmt: skip
    sizes = compare(found, labelled, default_host()).sizes
    row, population = sizes["diameter_by_type"][LOOP], sizes["by_type"][LOOP]
    assert row["matched"] == 1
    assert row["relative_error"] == pytest.approx(0, abs=0.03)
    assert population["true_count"] == 2
    assert population["true_mean_diameter_px"] == pytest.approx(16, rel=0.03)
    assert population["predicted_mean_diameter_px"] == 23


def test_sizes_and_counts_by_hand(host):
    axes = {"major_px": "px", "minor_px": "px"}
    true = instances(
        np.vstack([boxes_at((0, 0), (20, 0), size=10), boxes_at((40, 20), size=20)]),
        [LOOP, LOOP, DOT],
    ).with_measurements({"major_px": [10.0, 12, 16], "minor_px": [8.0, 8, 9]}, axes)
    found = instances(
        np.vstack([boxes_at((0, 0), (20, 0), size=11), boxes_at((40, 20), size=20)]),
        [LOOP, LOOP, DOT],
    ).with_measurements({"major_px": [11.0, 13, 25], "minor_px": [8.0, np.nan, 9]}, axes)
    sizes = compare(found, true, host, iou=0.5).sizes
    assert (sizes["predicted_count"], sizes["true_count"], sizes["count_error"]) == (3, 3, 0)
    assert sizes["median_side_error_per_frame"] == pytest.approx(0.1)
    # By their own definition: dots by sqrt(major * minor), 15 against 12.
    dots = sizes["diameter_by_type"][DOT]
    assert dots["predicted_mean_diameter_px"] == pytest.approx(15)
    assert dots["true_mean_diameter_px"] == pytest.approx(12)
    assert dots["relative_error"] == pytest.approx(0.25)
    assert sizes["diameter_by_type"][LOOP]["relative_error"] == pytest.approx(24 / 22 - 1)


def test_diameters_of_a_run_are_compared(run, host):
    result = run()
    axes = result.detections[["major_px", "minor_px"]].iloc[:3]
    images = [
        replace(i, instances=i.instances.with_measurements(
            {name: 2 * axes[name].to_numpy() for name in axes}, {}
        ))
        for i in truth_of(result).images
    ]  # fmt: skip
    row = evaluate(result, Dataset(images), host=host).sizes["diameter_by_type"]["black dot"]
    assert row["matched"] == 9
    assert row["relative_error"] == pytest.approx(-0.5)


def plain(value):
    """Return whether a value is made of what JSON knows, and of nothing of numpy."""
    if isinstance(value, dict):
        return all(type(k) is str and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(plain(v) for v in value)
    return value is None or type(value) in (str, int, float, bool)


def test_everything_is_fit_for_json(run, host):
    result = run()
    dataset = with_tracks(truth_of(result), [0, 1, 2])
    first, second, third = dataset.images
    nothing = instances(np.zeros((0, 4))).with_measurements({"track_id": np.zeros(0)}, {})
    other = replace(second.instances, defect_types=np.array([LOOP, DOT, DOT]))
    true = Dataset([first, replace(second, instances=other), replace(third, instances=nothing)])
    values = evaluate(result, true, host=host, sweep=True).as_dict()
    assert values["confusion"] is not None
    assert values["tracking"] is not None
    text = json.dumps(values, allow_nan=False)
    assert json.loads(text) == values
    assert plain(values)
    assert [row["frame"] for row in values["per_frame"]] == [0, 1, 2]
    assert values["per_frame"][2]["recall"] is None


def test_nothing_found_and_nothing_there_is_fit_for_json(host):
    nothing = instances(np.zeros((0, 4)))
    scores = compare(nothing, nothing, host, sweep=True)
    values = scores.as_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert plain(values)
    assert scores.overall.f1 is None
    assert values["per_frame"][0]["frame"] is None
    assert values["sizes"]["count_error"] is None


def test_frame_numbers_stay_whole_where_some_are_unknown(host):
    found = instances(boxes_at((1, 1)))
    both = Dataset([image("a.png", found, 461), image("b.png", found)])
    values = evaluate(both, both, host=host).as_dict()
    assert [row["frame"] for row in values["per_frame"]] == [461, None]
    assert plain(values)


@pytest.fixture
def formats() -> PluginHost:
    from defectscope.readers import plugin

    return isolated_host(plugin)


def test_paths_of_runs_and_datasets(run, tmp_path, formats):
    result = run()
    save_dataset(truth_of(result), tmp_path / "truth", "coco", formats)
    for predictions in (result, result.folder, str(result.folder), tmp_path / "truth"):
        scores = evaluate(predictions, tmp_path / "truth", host=formats, iou=0.9)
        assert scores.overall == Counts(9, 0, 0)
    assert ds.evaluate is evaluate


def test_wrong_paths_are_one_sentence(run, tmp_path, formats):
    result = run()
    with pytest.raises(ds.InputError, match="there is no file or folder"):
        evaluate(result, tmp_path / "nowhere", host=formats)
    with pytest.raises(ds.InputError, match="there is no file or folder"):
        evaluate(tmp_path / "nowhere", truth_of(result), host=formats)
    swapped = r"is a run folder, and the prediction comes first: swap .* --to coco"
    with pytest.raises(ds.UsageError, match=swapped):
        evaluate(truth_of(result), result.folder, host=formats)


def test_of_two_runs_the_second_is_taken_for_the_truth(run, formats):
    result = run()
    scores = evaluate(result, result.folder, host=formats, iou=0.9)
    assert scores.overall == Counts(9, 0, 0)
    assert scores.warnings[0].endswith("is a run: what it found is taken for the truth")
    assert evaluate(result, result, host=formats, iou=0.9).as_dict() == scores.as_dict()
    with pytest.raises(ds.UsageError, match="the prediction comes first"):
        evaluate(truth_of(result), result, host=formats)


def test_a_run_that_finished_no_frame_has_no_predictions(run, host):
    good = run(name="good")
    with pytest.raises(ds.ComponentError):
        run(name="bad", options={"find": {"fail_on": 0}})
    bad = ds.load_run(good.folder.parent / "bad")
    with pytest.raises(ds.UsageError, match="the prediction no frame"):
        evaluate(bad, truth_of(good), host=host)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 12), iou=st.floats(0.05, 0.95))
def test_truth_and_prediction_change_places(seed, count, iou):
    host = PluginHost(entry_points=())
    one, two = random_pair(seed, count)
    there, back = compare(one, two, host, iou=iou).overall, compare(two, one, host, iou=iou).overall
    assert (there.precision, there.recall) == (back.recall, back.precision)
    same = compare(one, one, host, iou=iou).overall
    assert same == Counts(count, 0, 0)


def test_lines_found_in_an_ignored_box_are_no_inventions(host):
    courses = [np.linspace([5, 10], [55, 12], 9), np.linspace([20, 30], [40, 36], 9)]
    found = instances([polyline_box(line, 2.5) for line in courses], "dislocation", lines=courses)
    true = replace(
        instances([polyline_box(courses[0], 2.5), [15, 25, 45, 40]], "dislocation"),
        lines=(courses[0], np.zeros((0, 2))),
        ignore=np.array([False, True]),
    )
    scores = compare(found, true, host).lines
    assert (scores.true, scores.predicted, scores.matched) == (1, 1, 1)


@pytest.mark.parametrize(
    ("declared", "scored"),
    [((), True), (("dislocation",), True), (("black dot",), False), (("black dot", "new"), True)],
)
def test_a_detector_of_boxes_that_finds_nothing_has_no_score_of_lines(declared, scored, host):
    course = np.linspace([5, 10], [55, 12], 9)
    true = instances([polyline_box(course, 2.5)], "dislocation", lines=[course])
    nothing = instances(np.zeros((0, 4)), "dislocation")
    found = Dataset([LabelledImage("a.png", nothing)], defect_types=declared)
    scores = evaluate(found, Dataset([LabelledImage("a.png", true)]), host=host).lines
    assert (scores is not None) == scored
