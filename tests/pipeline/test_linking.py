"""Tables linked, and labels converted, from Python as on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.errors import FormatError, OptionError, OutputError


@pytest.fixture
def table():
    frame, who = np.divmod(np.arange(24), 4)
    return pd.DataFrame({"frame": frame, "x": 40.0 * who + 0.1 * frame, "y": 7.0})


def test_a_table_is_linked_as_its_file_is(table, tmp_path):
    linked = ds.track(table, "trackpy", {"trackpy": {"memory": 2}})
    assert linked.groupby("particle").size().tolist() == [6] * 4
    assert "particle" not in table
    table.to_csv(tmp_path / "positions.csv", index=False)
    again = ds.track(tmp_path / "positions.csv", "linked=trackpy")
    assert again["particle"].tolist() == linked["particle"].tolist()
    with pytest.raises(OptionError, match="no option 'memori'"):
        ds.track(table, "trackpy", {"trackpy": {"memori": 2}})


@pytest.mark.parametrize("options", [{"trackpy": None}, ["trackpy"], 3])
def test_options_of_a_tracker_are_a_table(table, options):
    with pytest.raises(OptionError, match="options are one table a component"):
        ds.track(table, "trackpy", options)


@pytest.mark.parametrize("step", [0, -1, 1.5, "2"])
def test_a_frame_step_is_a_whole_number(table, step):
    with pytest.raises(OptionError, match="frame_step must be a whole number of at least 1, found"):
        ds.track(table, "trackpy", frame_step=step)


def test_what_warns_is_a_warning_and_the_rest_is_for_who_asks(table):
    twice = pd.concat([table.assign(frame=2 * table["frame"]), table[:1]])
    with pytest.warns(UserWarning, match="^1 row repeats the frame") as caught:
        ds.track(twice, "trackpy")
    assert len(caught) == 1
    said = []
    ds.track(twice, "trackpy", say=said.append)
    assert [line.partition(":")[0] for line in said] == [
        "warning", "frame indices are 2 apart, or multiples of it",
    ]  # fmt: skip
    assert said[1].endswith("; a frame step of 1 counts every index")


def test_tracks_of_a_result_are_analysed_as_a_table(host, series, tmp_path):
    result = ds.Pipeline("find", ["axes"], analyses=[], host=host).run(series(4), overlay=False)
    tracks = ds.track(result, "by-rank", host=host)
    assert tracks["particle"].nunique() == 3
    given = {"report": False, "host": host, "out": tmp_path}
    assert ds.analyze(result, tracks=tracks, **given).run is result
    # As trackpy has it, and as a table that was grouped.
    for indexed in (tracks.set_index("frame", drop=False), tracks.set_index(["frame", "particle"])):
        ds.analyze(result, tracks=indexed, **given)
    with pytest.raises(FormatError, match=r"^the tracks lack the columns particle; link the table"):
        ds.analyze(result, tracks=result.detections, **given)


def test_labels_go_in_and_out(tmp_path):
    found = ds.Instances((32, 40), [[4, 5, 14, 12]], defect_types="black dot")
    dataset = ds.Dataset([ds.LabelledImage("a.png", found)], defect_types=("black dot",))
    ds.save_dataset(dataset, tmp_path / "coco")
    with pytest.raises(OutputError, match="is a folder that is not empty"):
        ds.save_dataset(dataset, tmp_path / "coco")
    ds.save_dataset(dataset, str(tmp_path / "coco"), overwrite=True)
    read = ds.open_dataset(str(tmp_path / "coco"))
    assert read.images[0].instances.boxes.tolist() == [[4, 5, 14, 12]]
    with pytest.raises(ds.UnknownNameError, match="no format 'yollo'"):
        ds.save_dataset(read, tmp_path / "yolo", "yollo")


def test_what_a_run_found_is_labelled_data(host, series):
    result = ds.Pipeline("find", analyses=[], host=host).run(series(2), overlay=False)
    found = ds.open_dataset(result, host=host)
    assert [len(image.instances) for image in found.images] == [3, 3]
    assert len(ds.open_dataset(result.folder, host=host).images) == 2
    # A temporary run lives until it is read; in an assertion pytest would keep it.
    pipeline = ds.Pipeline("find", analyses=[], host=host)
    given = ds.open_dataset(pipeline.run(series(2), overlay=False), host=host)
    assert len(given.images) == 2
    with pytest.raises(OptionError, match="is a run, which is read without options"):
        ds.open_dataset(result, options={"scale": 2}, host=host)
    for given in (result, result.detections):
        with pytest.raises(ds.UsageError, match=r"^expected a dataset, as defectscope\.open_"):
            ds.save_dataset(given, result.folder / "labels")


def test_weights_are_found_without_a_list(tmp_path):
    assert ds.find_weights("loops").name == "heatmap-loops.safetensors"
    with pytest.raises(ds.UnknownNameError, match="there are no weights 'lops'"):
        ds.find_weights("lops")
    with pytest.raises(ds.UnknownNameError, match="registered names: none"):
        ds.find_weights("loops", {})
