"""Labelled data, analysed as a run is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.analysis.trajectories import lifetime_table
from defectscope.cli.main import cli
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.pipeline.label_results import label_result, run_or_labels
from defectscope.pipeline.labels import save_dataset
from defectscope.pipeline.run_labels import run_dataset
from defectscope.plugins.host import default_host


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ds.Result:
    """A run on four frames with two loops."""
    frames = []
    rows, columns = np.mgrid[0:60, 0:80]
    for k in range(4):
        pixels = np.full((60, 80), 200, np.uint8)
        for x, y, a, b in ((20, 20, 8, 6), (55, 40, 7, 7)):
            pixels[((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 < 1] = 20
        known = ds.Calibration(pixel_size_nm=0.5, dose_start_dpa=1.0, dose_per_frame_dpa=0.1)
        frames.append(ds.Frame(pixels, 5 + k, known, f"f{5 + k}.png"))
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "trackpy", [])
    folder = tmp_path_factory.mktemp("labels") / "run"
    return pipeline.run(frames, folder, overlay=False, figures=False)


def converted(run: ds.Result, target: Path, to: str) -> Path:
    done = CliRunner().invoke(cli, ["convert", str(run.folder), str(target), "--to", to])
    assert done.exit_code == 0, done.output
    return target


@pytest.mark.parametrize("to", ["coco", "labelme"])
def test_labels_of_a_run_have_its_quantities(run: ds.Result, tmp_path: Path, to: str) -> None:
    labels = converted(run, tmp_path / ("a.json" if to == "coco" else "a"), to)
    result = run_or_labels(labels, default_host())
    assert list(result.frames["frame"]) == [5, 6, 7, 8]
    assert result.frames["dose_dpa"].tolist() == pytest.approx([1.5, 1.6, 1.7, 1.8])
    assert result.calibration.pixel_size_nm == 0.5
    expected = run.detections.sort_values(["frame", "x"])
    found = result.detections.sort_values(["frame", "x"])
    for name in ("x", "y", "major_px", "diameter_nm", "area_nm2"):
        # labelme has outlines for ellipses, from which they are worked out again.
        tolerance = 1e-4 if to == "coco" else 0.05
        assert found[name].to_numpy() == pytest.approx(expected[name].to_numpy(), rel=tolerance)
    assert result.particles is not None
    assert list(result.particles["lifetime_frames"]) == [4, 4]


def test_corrected_labels_are_analysed(run: ds.Result, tmp_path: Path) -> None:
    labels = converted(run, tmp_path / "lm", "labelme")
    for file in sorted(labels.glob("*.json"))[:2]:
        document = json.loads(file.read_text())
        document["shapes"] = document["shapes"][:1]  # a person deleted one
        file.write_text(json.dumps(document))
    words = [
        str(labels),
        "--thickness",
        "80",
        "--frame-interval",
        "2",
        "--out",
        str(tmp_path / "q"),
    ]
    done = CliRunner().invoke(cli, ["analyze", *words])
    assert done.exit_code == 0, done.output
    assert "unknown" not in done.output
    table = pd.read_csv(tmp_path / "q/figures/number-density.csv")
    assert table["count"].tolist() == [1, 1, 2, 2]
    area_m2 = 60 * 80 * 0.25e-18
    assert table["number_density_per_m3"].iloc[0] == pytest.approx(1 / area_m2 / 80e-9)
    assert table["time_s"].tolist() == [10, 12, 14, 16]
    assert "defectscope: lm" in (tmp_path / "q/report.html").read_text(encoding="utf-8")
    assert sorted(path.suffix for path in labels.iterdir()) == [".json"] * 4


def test_boxes_lines_and_what_is_uncertain(tmp_path: Path) -> None:
    shapes = [
        {"label": "loop", "shape_type": "rectangle", "points": [[10, 10], [20, 20]]},
        {"label": "uncertain", "shape_type": "rectangle", "points": [[30, 30], [40, 40]]},
        {"label": "dislocation-line", "shape_type": "linestrip", "points": [[0, 5], [30, 45]]},
    ]
    document = {"imagePath": "a.png", "imageWidth": 80, "imageHeight": 60, "shapes": shapes}
    (tmp_path / "a.json").write_text(json.dumps(document))
    result = run_or_labels(tmp_path / "a.json", default_host())
    assert result.detections["length_px"].dropna().tolist() == [50.0]
    assert len(result.detections) == 2
    assert set(result.detections["origin"]) == {"human"}
    assert result.tracks is None
    assert "1 of 3 labels are to be ignored" in result.warnings[-2]
    assert "1 of 2 labels are boxes without an outline" in result.warnings[-1]
    done = ds.analyze(tmp_path, out=tmp_path / "out")
    assert "number-density.csv" in done.files


def labelled(folder: Path, *shapes: tuple[str, str, list[list[float]]]) -> Path:
    document = {"imagePath": "a.png", "imageWidth": 80, "imageHeight": 60, "shapes": [
        {"label": label, "shape_type": kind, "points": points} for label, kind, points in shapes
    ]}  # fmt: skip
    path = folder / "a.json"
    path.write_text(json.dumps(document))
    return path


SQUARE = [[10.0, 10.0], [22.0, 10.0], [22.0, 20.0], [10.0, 20.0]]
SLANTED = [[0.0, 5.0], [30.0, 45.0]]


def test_a_type_without_sizes_beside_one_that_has_them(tmp_path: Path) -> None:
    labels = labelled(tmp_path, ("dislocation-loop", "polygon", SQUARE),
                      ("dislocation", "linestrip", SLANTED))  # fmt: skip
    done = CliRunner().invoke(cli, ["analyze", str(labels), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "nan" not in done.output


def test_outlines_of_a_type_of_ones_own_are_no_dislocations(tmp_path: Path) -> None:
    labels = labelled(tmp_path, ("cavity", "polygon", SQUARE), ("trace", "linestrip", SLANTED))
    ds.analyze(labels, out=tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/figures/line-density.csv")
    assert table["length_px"].tolist() == [pytest.approx(50)]


def test_the_length_of_a_masked_line_is_not_the_way_round_it(tmp_path: Path) -> None:
    band = [[9.0, 11.0], [11.0, 9.0], [51.0, 49.0], [49.0, 51.0]]
    labels = labelled(tmp_path, ("dislocation", "polygon", band))
    result = run_or_labels(labels, default_host())
    assert result.detections["length_px"].tolist() == [pytest.approx(40 * 2**0.5, rel=0.1)]
    ds.analyze(labels, out=tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/figures/line-density.csv")
    assert table["length_px"].tolist() == [pytest.approx(40 * 2**0.5, rel=0.1)]
    assert not [text for text in result.warnings if "without an outline" in text]


def test_outlines_that_the_rim_cuts_count_and_have_no_size(tmp_path: Path) -> None:
    cut = [[-4.0, 30.0], [3.0, 30.0], [3.0, 50.0], [-4.0, 50.0]]
    labels = labelled(tmp_path, ("dislocation-loop", "polygon", SQUARE),
                      ("dislocation-loop", "polygon", cut))  # fmt: skip
    assert run_or_labels(labels, default_host()).detections["at_rim"].tolist() == [0, 1]
    ds.analyze(labels, out=tmp_path / "out")
    assert "Sizes leave out 1 defect" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "out/figures/size-distribution.csv")
    assert table["count"].tolist() == [1]


def test_what_is_neither_and_labels_without_a_place_for_results(
    run: ds.Result, tmp_path: Path
) -> None:
    labels = converted(run, tmp_path / "a.json", "coco")
    with pytest.raises(ds.UsageError, match=r"is labelled data; name a folder .* with --out"):
        ds.analyze(labels)
    with pytest.raises(ds.UsageError, match=r"is no run folder: .* and no labelled data either"):
        ds.analyze(run.folder / "frames.csv")
    with pytest.raises(ds.UsageError, match=r"analyze RUN --tracks .*frames\.csv"):
        ds.analyze(run.folder / "frames.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tracks_that_were_linked_by_themselves(run: ds.Result, tmp_path: Path, suffix: str) -> None:
    table = str(tmp_path / f"tracks.{suffix}")
    words = ["track", str(run.folder / "detections.parquet"), "--tracker", "trackpy"]
    options = ["--set", "trackpy.search_range_px=5", "--out", table]
    assert CliRunner().invoke(cli, [*words, *options]).exit_code == 0
    linked = (pd.read_csv if suffix == "csv" else pd.read_parquet)(table)
    linked = linked[linked["particle"] == 0]
    other = tmp_path / f"one.{suffix}"
    linked.to_csv(other, index=False) if suffix == "csv" else linked.to_parquet(other)
    done = CliRunner().invoke(
        cli, ["analyze", str(run.folder), "--tracks", str(other), "--out", str(tmp_path / "q")]
    )
    assert done.exit_code == 0, done.output
    assert "Particles: 1" in done.output


def test_tracks_that_are_none_of_the_run(run: ds.Result, tmp_path: Path) -> None:
    assert run.tracks is not None
    path = tmp_path / "t.csv"
    with pytest.raises(ds.InputError, match="there is no table of tracks"):
        ds.analyze(run, tracks=path, out=tmp_path)
    run.tracks.drop(columns="particle").to_csv(path, index=False)
    lacking = rf"lack the columns particle; .* track {run.folder}/detections\.parquet"
    with pytest.raises(ds.FormatError, match=lacking):
        ds.analyze(run, tracks=path, out=tmp_path)
    run.tracks.assign(frame=99).to_csv(path, index=False)
    with pytest.raises(ds.FormatError, match="of frames that the run lacks"):
        ds.analyze(run, tracks=path, out=tmp_path)
    run.tracks.assign(particle=3).to_csv(path, index=False)
    with pytest.raises(ds.FormatError, match="once a frame, found particle 3 twice in frame 5;"):
        ds.analyze(run, tracks=path, out=tmp_path)
    path.with_suffix(".parquet").write_text("nothing")
    with pytest.raises(ds.FormatError, match=r"cannot be read as \.csv or \.parquet"):
        ds.analyze(run, tracks=path.with_suffix(".parquet"), out=tmp_path)


def test_what_to_link_of_a_run_with_csv_tables_and_of_labels(
    run: ds.Result, tmp_path: Path
) -> None:
    with_csv = tmp_path / "run"
    shutil.copytree(run.folder, with_csv)
    run.detections.to_csv(with_csv / "detections.csv", index=False)
    (with_csv / "detections.parquet").unlink()
    table = tmp_path / "t.csv"
    run.detections.to_csv(table, index=False)
    with pytest.raises(ds.FormatError, match=r"lack the columns particle; .*/detections\.csv"):
        ds.analyze(with_csv, tracks=table, out=tmp_path / "q")
    labels = tmp_path / "labels"
    host = default_host()
    save_dataset(run_dataset(run.folder, host.defect_types()), labels, "coco", host)
    with pytest.raises(ds.UsageError, match="no detections to link; leave out --tracks"):
        ds.analyze(labels, tracks=table, out=tmp_path / "q")


def sequences(number: int, length: int) -> Dataset:
    """Return labelled images of six loops at rest a sequence, elsewhere in each of them."""
    images = []
    for k in range(number):
        columns = {
            "x": 20.0 + 30 * np.arange(6) + 7 * k, "y": np.full(6, 20.0 + 30 * k),
            "major_px": np.full(6, 12.0), "minor_px": np.full(6, 10.0), "angle_deg": np.zeros(6),
            "track_id": np.arange(6.0),
        }  # fmt: skip
        half = np.array([6.0, 5.0])
        at = np.stack([columns["x"], columns["y"]], axis=1)
        units = dict.fromkeys(columns, "px") | {"angle_deg": "deg", "track_id": ""}
        found = ds.Instances((120, 220), np.hstack([at - half, at + half]),
                             defect_types="dislocation-loop", measurements=columns,
                             units=units)  # fmt: skip
        images += [LabelledImage(f"{k:06d}-{t:04d}.png", found, t) for t in range(length)]
    return Dataset(images)


def test_each_sequence_has_tracks_of_its_own(tmp_path: Path) -> None:
    result = label_result(sequences(3, 5), tmp_path, default_host().defect_types())
    assert list(result.frames["frame"]) == list(range(15))
    assert result.tracks is not None
    assert result.particles is not None
    assert list(result.particles["particle"]) == list(range(18))
    assert set(result.particles["lifetime_frames"]) == {5}
    assert set(result.particles["quality"]) == {"good"}
    assert "are 3 sequences" in result.warnings[-1]
    lives = lifetime_table(result.tracks, result.frames)
    assert lives["from_start"].all()
    assert lives["to_end"].all()
    alone = label_result(sequences(1, 5), tmp_path, default_host().defect_types())
    assert alone.tracks is not None
    assert "sequence" not in alone.frames
    assert set(alone.tracks["particle"]) == set(range(6))
    assert not alone.warnings


def test_of_two_labels_with_one_track_the_first_is_followed(tmp_path: Path) -> None:
    images = list(sequences(1, 3).images)
    found = images[1].instances
    found = found.with_measurements({"track_id": [0, 1, 2, 2, 4, 2]}, found.units)
    images[1] = replace(images[1], instances=found)
    result = label_result(Dataset(images), tmp_path, default_host().defect_types())
    assert result.tracks is not None
    assert not result.tracks.duplicated(["frame", "particle"]).any()
    second = result.tracks[result.tracks["frame"] == 1]
    assert second.set_index("particle")["x"].to_dict() == {0: 20, 1: 50, 2: 80, 4: 140}
    assert len(result.detections) == 18
    assert result.warnings == [
        "2 labels have the track_id of another one in their image (the first: 2 in frame 1): they "
        "count, but only the one before is tracked"
    ]
