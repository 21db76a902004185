"""``run``, ``evaluate`` and ``demo``, as real processes on real files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

import defectscope as ds
from defectscope.cli.main import main
from defectscope.cli.run import summarise
from defectscope.core.interrupts import STOPPING
from defectscope.pipeline.former_run import FormerRun
from defectscope.pipeline.run_status import said_of_incomplete
from defectscope.pipeline.runfolder import RunFolder
from defectscope.plugins.host import default_host

COMMAND = [sys.executable, "-m", "defectscope"]


def call(*arguments, **more):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **more,
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A 16-bit TIFF stack of growing loops."""
    path = tmp_path_factory.mktemp("stack") / "loops.tif"
    rng = np.random.default_rng(3)
    host = default_host()
    canvas, _ = host.build("backgrounds", "texture").render((160, 200), rng)
    loops = host.build("generators", "in-situ-loops", {"count": 12})
    frames = [np.round(p * 60000).astype(np.uint16) for p, _ in loops.sequence(canvas, rng, 24)]
    tifffile.imwrite(path, np.stack(frames))
    return path


ALL = ["--detector", "dark-blobs", "--post", "watershed-ellipse", "--tracker", "trackpy"]


def test_a_run_leaves_what_the_contract_says(stack, tmp_path):
    done = call("run", stack, *ALL, "--pixel-size", 0.4, "--frame-interval", 2, "--dose-start", 0.5,
                "--dose-per-frame", 0.01, "--thickness", 80, "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "24 frames" in done.stderr
    for name in ("run.json", "frames.csv", "detections.parquet", "geometry.parquet",
                 "tracks.parquet", "particles.csv", "overlay.mp4"):  # fmt: skip
        assert (tmp_path / "out" / name).is_file()
    figures = {path.stem for path in (tmp_path / "out/figures").glob("*.svg")}
    assert {"number-density", "size-distribution", "trajectories"} <= figures
    found = pd.read_parquet(tmp_path / "out/detections.parquet")
    expected = ["frame", "time_s", "dose_dpa", "detection", "defect_type", "score", "origin",
                "x", "y", "x_min", "y_min", "x_max", "y_max"]  # fmt: skip
    assert list(found.columns[: len(expected)]) == expected
    assert {
        "major_px",
        "major_nm",
        "minor_nm",
        "angle_deg",
        "area_px",
        "area_nm2",
        "diameter_nm",
    } <= (set(found.columns))
    last = found[found["frame"] == 23]
    assert last["time_s"].unique() == pytest.approx([46.0])
    assert last["dose_dpa"].unique() == pytest.approx([0.73])


@pytest.mark.slow
def test_the_same_command_gives_the_same_bytes_with_any_workers(stack, tmp_path):
    plain = [*ALL, "--no-overlay", "--no-figures"]
    assert call("run", stack, *plain, "--out", tmp_path / "a").returncode == 0
    assert call("run", stack, *plain, "--out", tmp_path / "b").returncode == 0
    assert call("run", stack, *plain, "--workers", 2, "--out", tmp_path / "c").returncode == 0
    for name in ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv",
                 "particles.csv"):  # fmt: skip
        one = (tmp_path / "a" / name).read_bytes()
        assert one == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


@pytest.mark.slow
def test_the_processes_that_help_on_long_series_do_not_change_a_byte(stack, tmp_path):
    tifffile.imwrite(tmp_path / "long.tif", np.concatenate([tifffile.imread(stack)] * 6))
    plain = [*ALL, "--no-overlay", "--no-figures"]
    for name, more in (("a", []), ("b", ["--workers", 1])):
        done = call("run", tmp_path / "long.tif", *plain, *more, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    for name in ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_aliases_configuration_and_set(stack, tmp_path):
    config = tmp_path / "options.toml"
    config.write_text("[small]\nmin_area_px = 10\nthreshold_sigma = 2.5\n")
    done = call("run", stack, "--detector", "small=dark-blobs", "--config", config, "--set",
                "small.threshold_sigma=4", "--frames", "3:9:2", "--no-overlay", "--no-figures",
                "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = json.loads((tmp_path / "out/run.json").read_text())["plan"]
    assert plan["components"][0]["options"]["min_area_px"] == 10
    assert plan["components"][0]["options"]["threshold_sigma"] == 4
    assert pd.read_csv(tmp_path / "out/frames.csv")["frame"].tolist() == [3, 5, 7]


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_finished_and_resume_goes_on(stack, tmp_path):
    frames = tifffile.imread(stack)
    long = tmp_path / "long.tif"
    tifffile.imwrite(long, np.concatenate([frames] * 15))
    arguments = ["run", long, *ALL, "--no-overlay", "--no-figures", "--out"]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), str(tmp_path / "cut")], stderr=subprocess.PIPE, text=True
    )
    table = tmp_path / "cut/frames.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (table.is_file() and table.stat().st_size > 200):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "finished, kept in" in said
    done = len(pd.read_csv(table))
    assert 0 < done < 360
    assert pd.read_parquet(tmp_path / "cut/detections.parquet")["frame"].max() < done
    assert call(*arguments, tmp_path / "cut", "--resume").returncode == 0
    assert call(*arguments, tmp_path / "whole").returncode == 0
    for name in ("detections.parquet", "tracks.parquet", "frames.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_is_found_in_masked_parts_is_dropped(stack, tmp_path):
    part = np.zeros((160, 200), np.uint8)
    part[:, 100:] = 255
    cv2.imwrite(str(tmp_path / "caption.png"), part)
    done = call("run", stack, "--detector", "dark-blobs", "--mask", "0,0,50,160", "--mask",
                tmp_path / "caption.png", "--workers", 2, "--no-overlay", "--no-figures", "--out",
                tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "out/detections.parquet")
    assert len(found) > 0
    assert found["x"].between(50, 100).all()
    masks = json.loads((tmp_path / "out/run.json").read_text())["plan"]["masks"]
    assert masks["rectangles"] == [[0, 0, 50, 160]]
    assert masks["files"] == ["caption.png"]
    assert (tmp_path / "out/mask.png").is_file()


@pytest.mark.slow
def test_a_vote_gives_the_same_bytes_with_any_workers(stack, tmp_path):
    arguments = ["run", stack, *ALL, "--vote", "3/5", "--no-overlay", "--no-figures", "--out"]
    assert call(*arguments, tmp_path / "one").returncode == 0
    done = call(*arguments, tmp_path / "two", "--workers", 2)
    assert done.returncode == 0, done.stderr
    for name in ("detections.parquet", "geometry.parquet", "tracks.parquet", "frames.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    found = pd.read_parquet(tmp_path / "two/detections.parquet")
    assert set(found["origin"]) == {"detector", "interpolated"}
    counts = pd.read_csv(tmp_path / "two/frames.csv").set_index("frame")["count"]
    assert counts[counts > 0].to_dict() == found.groupby("frame").size().to_dict()


BAD = {
    "unknown detector": (["--detector", "dark-blob"], 2, "did you mean 'dark-blobs'"),
    "unknown option": (["--set", "dark-blobs.blurr=1"], 2, "did you mean 'blur_px'"),
    "option of nobody": (["--set", "blobs.x=1"], 2, "not part of this pipeline"),
    "set without value": (["--set", "dark-blobs"], 2, "NAME.option=value"),
    "value out of limits": (["--set", "dark-blobs.blur_px=-1"], 2, "greater than or equal to 0"),
    "negative pixel size": (["--pixel-size", "-1"], 2, "pixel_size_nm = -1.0 is not possible"),
    "no frames left": (["--frames", "900:"], 2, "no frame is left"),
    "malformed range": (["--frames", "1-5"], 2, "FIRST:STOP"),
    "roi outside": (["--roi", "0,0,9999,10"], 2, "does not lie inside"),
    "malformed roi": (["--roi", "0,0,10"], 2, "four integers"),
    "malformed mask": (["--mask", "0,0,10"], 2, "X0,Y0,X1,Y1 in whole px"),
    "empty mask": (["--mask", "10,10,10,20"], 2, "X0 < X1 and Y0 < Y1"),
    "mask outside": (["--mask", "0,0,10,9999"], 2, "does not lie inside"),
    "no such mask": (["--mask", "caption.png"], 1, "no file or folder caption.png"),
    "malformed vote": (["--vote", "9/6"], 2, "K/N, with 1 <= K <= N"),
    "vote of unrelated images": (
        ["--vote", "2/3", "--mixed-sizes"],
        2,
        "cannot vote on each other",
    ),
    "resume and overwrite": (["--resume", "--overwrite"], 2, "give one of them"),
    "detector twice": (["--detector", "heatmap", "--detector", "heatmap"], 2, "takes one value"),
    "tracker twice": (["--tracker", "loops", "--tracker", "trackpy"], 2, "loops and trackpy"),
    "vote twice": (["--vote", "2/3", "--vote", "6/9"], 2, "found 2/3 and 6/9"),
    "roi twice": (["--roi", "0,0,9,9", "--roi", "9,9,20,20"], 2, "'--roi': it takes one value"),
    "frames twice": (["--frames", "0:3", "--frames", "9:"], 2, "'--frames': it takes one value"),
    "config twice": (["--config", "a.toml", "--config", "b.toml"], 2, "a.toml and b.toml"),
    "idle without watch": (["--idle", "3"], 2, "--idle ends a watch; give --watch FOLDER"),
    "jump without register": (["--jump-px", "5"], 2, "give both, or leave it out"),
    "dask and workers": (["--dask", "tcp://x:1", "--workers", "2"], 2, "leave out --workers"),
    "analysis without figures": (
        ["--no-figures", "--set", "growth.drawn=2", "--set", "dark-blobs.blur_px=2"],
        2,
        "leave it out, or --set of growth",
    ),
    "no such configuration": (["--config", "nowhere.toml"], 1, "cannot be read"),
    "no such scheduler": (["--dask", "tcp://127.0.0.1:9"], 2, "no Dask scheduler"),
}


@pytest.fixture
def quick_call(capsys):
    """Run a command in this process: what is refused at once needs none of its own."""
    former = {number: signal.getsignal(number) for number in STOPPING}

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, capsys.readouterr().err

    yield run
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("case", BAD)
def test_bad_requests(stack, tmp_path, quick_call, case):
    arguments, code, message = BAD[case]
    if "--dask" in arguments and "--workers" not in arguments:
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    if "--detector" not in arguments:
        arguments = ["--detector", "dark-blobs", *arguments]
    found, said = quick_call("run", stack, *arguments, "--out", tmp_path / "out", "--no-overlay")
    assert found == code
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "0:5"], "does not wait for it; leave out --frames"),
        (["--batch-size", "2"], "takes frames one by one; leave out --batch-size"),
        (["--workers", "2"], "leave out --workers and --dask"),
    ],
)
def test_what_a_watch_has_no_use_for(tmp_path, quick_call, words, message):
    arguments = ["--watch", tmp_path, "--idle", 0.1, "--detector", "dark-blobs", *words]
    code, said = quick_call("run", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in said


def test_a_complete_run_is_said_to_be(stack, tmp_path, quick_call):
    out = tmp_path / "out"
    arguments = ["run", stack, "--detector", "dark-blobs", "--frames", "0:2", "--no-overlay",
                 "--no-figures", "--out", out, "--resume"]  # fmt: skip
    code, said = quick_call(*arguments)
    assert code == 0
    assert "already complete" not in said
    before = (out / "run.json").stat().st_mtime_ns
    code, said = quick_call(*arguments)
    assert code == 0
    assert f"the run in {out} is already complete; nothing was done\n2 frames" in said
    assert (out / "run.json").stat().st_mtime_ns == before


def test_damaged_frames_are_not_tried_again_and_that_is_said(tmp_path, quick_call):
    out, images = tmp_path / "out", tmp_path / "images"
    images.mkdir()
    for k in range(3):
        cv2.imwrite(str(images / f"f{k}.png"), np.arange(80 * 60, dtype=np.uint16).reshape(60, 80))
    (images / "f1.png").write_bytes((images / "f0.png").read_bytes()[:-40])
    arguments = ["run", images, "--detector", "dark-blobs", "--no-overlay", "--no-figures",
                 "--out", out]  # fmt: skip
    told = ("--resume does not try 1 damaged frame again; where the files are whole now, run again "
            "with --overwrite")  # fmt: skip
    code, said = quick_call(*arguments)
    assert (code, told in said) == (0, False)
    code, said = quick_call(*arguments, "--resume")
    assert code == 0
    assert told in " ".join(said.split())


def test_a_killed_overwrite_is_told_by_those_who_come_after(stack, tmp_path, quick_call):
    out = tmp_path / "out"
    arguments = ["run", stack, "--detector", "dark-blobs", "--frames", "0:2", "--no-overlay",
                 "--no-figures", "--out", out]  # fmt: skip
    assert quick_call(*arguments)[0] == 0
    former, info = out / ".former-run", (out / "run.json").read_text()
    FormerRun(out, "run.json").set_aside([path.name for path in out.iterdir()])
    told = f"the run that was to be replaced is in {former}, and run --resume puts it back"
    with pytest.raises(ds.UsageError, match=re.escape(told)):
        ds.load_run(out)
    with pytest.raises(ds.UsageError, match=re.escape(told)):
        ds.analyze(out, ["number-density"], report=False)
    (out / "run.json").write_text(info.replace('"complete"', '"running"'))
    (out / "frames.csv").write_text("frame,source,status\n")
    assert told in said_of_incomplete(ds.Result(out))[0]
    with pytest.raises(ds.UsageError, match=re.escape(told)):
        ds.analyze(out, ["number-density"], report=False)
    code, said = quick_call(*arguments, "--resume")
    assert code == 0
    assert f"the former run in {out} is back, because" in said
    assert f"the run in {out} is already complete; nothing was done\n2 frames" in said
    assert not former.exists()


@pytest.mark.parametrize("status", ["complete", "interrupted"])
def test_ctrl_c_before_the_first_frame_says_that_the_former_run_stays(
    stack, tmp_path, quick_call, monkeypatch, status
):
    def stopped(*given):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    arguments = ["run", stack, "--detector", "dark-blobs", "--frames", "0:2", "--no-overlay",
                 "--no-figures", "--out", out, "--overwrite"]  # fmt: skip
    assert quick_call(*arguments)[0] == 0
    (out / "run.json").write_text((out / "run.json").read_text().replace("complete", status))
    with monkeypatch.context() as patch:
        patch.setattr("defectscope.pipeline.session.Session._detect", stopped)
        code, said = quick_call(*arguments)
    assert code == 1
    assert f"nothing was finished; the former run in {out} stays as it was\n" in said
    assert "kept in" not in said
    assert len(pd.read_csv(out / "frames.csv")) == 2
    monkeypatch.setattr("defectscope.pipeline.session.Session._prepare", stopped)
    code, said = quick_call(*arguments)
    assert f"nothing was done; what is in {out} stays as it was\n" in said


def test_ctrl_c_while_the_end_is_written_says_that_the_run_is_complete(
    stack, tmp_path, quick_call, monkeypatch
):
    def record(self, info):
        if info["status"] == "complete":
            os.kill(os.getpid(), signal.SIGINT)
        written(self, info)

    out, written = tmp_path / "out", RunFolder.record
    monkeypatch.setattr(RunFolder, "record", record)
    code, said = quick_call("run", stack, "--detector", "dark-blobs", "--frames", "0:2",
                            "--no-overlay", "--no-figures", "--out", out)  # fmt: skip
    assert code == 1
    assert f"the run in {out} is complete\n" in said
    assert "stays as it was" not in said


def test_sizes_that_are_unknown_have_no_median(capsys):
    frames = pd.DataFrame({"status": ["ok"]})
    for size in (np.nan, 8.0):
        found = pd.DataFrame({"diameter_nm": [size, np.nan], "defect_type": "black dot"})
        summarise(SimpleNamespace(frames=frames, detections=found, info={"damaged_frames": []},
                                  particles=None, folder="run"))  # fmt: skip
        said = capsys.readouterr().err
        assert "2 detections" in said
        assert "nan" not in said
    assert "median diameter 8.00 nm" in said


def test_the_median_is_that_of_whole_sizes(capsys):
    frames = pd.DataFrame({"status": ["ok"]})
    found = pd.DataFrame({"diameter_nm": [2.0, 8.0, 9.0], "fit": [0, 0, 1], "at_rim": [1, 0, 1]})
    for types, text in (
        (["black dot"] * 3, "median diameter 8.50 nm\n"),
        (["a", "a", "b"], "median diameter 8.00 nm of a, 9.00 nm of b\n"),
    ):
        found["defect_type"] = types
        summarise(SimpleNamespace(frames=frames, detections=found, info={"damaged_frames": []},
                                  particles=None, folder="run"))  # fmt: skip
        said = capsys.readouterr().err
        assert "3 detections" in said
        assert text in said


def test_one_damaged_frame_among_good_ones(stack, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, frame in enumerate(tifffile.imread(stack)[:6]):
        tifffile.imwrite(folder / f"Frame{index + 461}.tif", frame)
    (folder / "Frame463.tif").write_bytes(b"not an image")
    plain = ["--detector", "dark-blobs", "--no-overlay", "--no-figures", "--out"]
    done = call("run", folder, *plain, tmp_path / "out")
    assert done.returncode == 0
    assert "Frame463.tif" in done.stderr
    assert "5 frames (1 damaged and skipped)" in done.stderr
    assert call("run", folder, *plain, tmp_path / "strict", "--strict").returncode == 1
    table = pd.read_csv(tmp_path / "out/frames.csv")
    assert table["frame"].tolist() == list(range(461, 467))
    assert table["status"].tolist() == ["ok", "ok", "damaged", "ok", "ok", "ok"]


def test_an_unwritable_folder(stack, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("run", stack, "--detector", "dark-blobs", "--out", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_scores_itself(tmp_path):
    done = call("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "demo/demo.json").read_text())["scores"]
    assert scores["overall"]["f1"] > 0.9
    assert abs(scores["sizes"]["diameter_by_type"]["dislocation-loop"]["relative_error"]) < 0.1
    assert scores["tracking"]["idf1"] > 0.85
    assert (tmp_path / "demo/run/overlay.mp4").stat().st_size > 10_000
    again = call("demo", "--out", tmp_path / "demo")
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    evaluated = call("evaluate", tmp_path / "demo/run", tmp_path / "demo/data", "--json")
    assert json.loads(evaluated.stdout)["overall"]["f1"] > 0.9


@pytest.mark.real_data
def test_real_frames_keep_their_index_and_are_found(tmp_path, real_data):
    data = real_data("insitu-loops")
    done = call("run", data / "frames", "--frames", "478:483", *ALL, "--pixel-size", 0.37197,
                "--no-overlay", "--no-figures", "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    evaluated = call("evaluate", tmp_path / "out", data, "--json")
    scores = json.loads(evaluated.stdout)
    assert [row["frame"] for row in scores["per_frame"]] == [480]
    assert scores["overall"]["f1"] > 0.8
