"""``defectscope analyze``."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.main import cli


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on four frames with two dark squares, one of which grows."""
    frames = []
    for k in range(4):
        pixels = np.full((60, 80), 200, np.uint8)
        pixels[10 : 22 + 2 * k, 10 : 22 + 2 * k] = 20
        pixels[40:52, 50:62] = 20
        frames.append(ds.Frame(pixels, index=5 + k, source=f"f{k}.png"))
    folder = tmp_path_factory.mktemp("analyze") / "run"
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "trackpy", [])
    pipeline.run(frames, folder, overlay=False, figures=False)
    return folder


def invoke(*words):
    return CliRunner().invoke(cli, ["analyze", *map(str, words)])


def test_it_says_numbers_and_where_the_report_is(run):
    done = invoke(run)
    assert done.exit_code == 0, done.output
    assert "Particles: 2" in done.output
    assert "Mean lifetime as seen, 2 of 2 cut by an end of the series: 4 frames" in done.output
    assert f"open {run / 'report.html'}" in done.output
    assert done.output.count("unknown, and so left out") == 1
    assert (run / "figures" / "number-density.csv").is_file()
    assert "f0.png" in (run / "report.html").read_text(encoding="utf-8")


def test_one_analysis_with_an_option_and_without_a_report(run, tmp_path):
    out = tmp_path / "part"
    done = invoke(run, "--analysis", "number-density", "--set", "number-density.recall=0.5",
                  "--frames", "6:8", "--out", out, "--no-report")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in out.rglob("*.*")) == [
        f"number-density.{suffix}" for suffix in ("csv", "png", "svg")
    ]
    lines = (out / "figures" / "number-density.csv").read_text().splitlines()
    table = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [(row["frame"], row["count"], row["true_count"]) for row in table] == [
        ("6", "2", "4.0"), ("7", "2", "4.0")
    ]  # fmt: skip


def test_figures_do_not_replace_those_of_another_run(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    before = {path: path.read_bytes() for path in other.rglob("*.*")}
    done = invoke(run, "--analysis", "number-density", "--out", other)
    assert isinstance(done.exception, ds.OutputError)
    assert f"{other} is a run folder, whose files must stay" in str(done.exception)
    assert {path: path.read_bytes() for path in other.rglob("*.*")} == before
    for words in ([run, "--out", other / "analysis"], [other, "--out", other]):
        done = invoke(*words, "--analysis", "number-density", "--no-report")
        assert done.exit_code == 0, done.output
    assert "number-density.png" in ds.load_run(other).info["figures"]


def test_figures_in_formats_that_are_asked_for(run, tmp_path):
    out, other = tmp_path / "one", tmp_path / "two"
    for folder in (out, other):
        done = invoke(run, "--analysis", "number-density", "--figures", "pdf, SVG", "--out", folder)
        assert done.exit_code == 0, done.output
    names = sorted(p.name for p in (out / "figures").iterdir())
    assert names == ["number-density.csv", "number-density.pdf", "number-density.svg"]
    for name in names:
        first, second = ((folder / "figures" / name).read_bytes() for folder in (out, other))
        assert first == second
    page = (out / "figures" / "number-density.pdf").read_bytes()
    assert page.startswith(b"%PDF-")
    assert b"CreationDate" not in page
    assert "figures/number-density.pdf, .svg" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--roi", "0,0,81,60"], "must lie inside what the run looked at: 0,0,80,60 px"),
        (["--roi", "1,2,3"], "expected four integers"),
        (["--frames", "90:99"], "no frame of the run is in 90:99"),
        (["--analysis", "nothing"], "there is no analysis 'nothing'"),
        (["--set", "number-density.recall=2"], "recall"),
        (["--figures", "png,eps"], "formats of figures are png, svg, pdf"),
        (["--figures", ""], "formats of figures are png, svg, pdf"),
        (["--images", "nowhere"], "no images at nowhere"),
        (
            ["--no-report", "--images", "."],
            "--images: there is no report with --no-report; leave out",
        ),
        (
            ["--no-report", "--images", ".", "--viewer-frames", "24"],
            "--images and --viewer-frames: there is no report",
        ),
    ],
)
def test_a_mistake_is_one_sentence(run, words, text):
    done = invoke(run, *words)
    assert done.exit_code != 0
    said = done.output if done.exception is None else done.output + str(done.exception)
    assert text in said
    assert "Traceback" not in done.output


def test_a_folder_without_a_run(tmp_path):
    done = invoke(tmp_path)
    assert done.exit_code != 0
    assert "is no run folder" in done.output + str(done.exception)


def test_a_forgotten_calibration(run, tmp_path):
    done = invoke(run, "--pixel-size", 0.5, "--frame-interval", 2, "--dose-start", 1,
                  "--dose-per-frame", 0.1, "--thickness", 80, "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "unknown" not in done.output
    table = (tmp_path / "figures" / "number-density.csv").read_text().splitlines()
    row = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    assert (float(row["time_s"]), float(row["dose_dpa"])) == (10.0, 1.5)
    assert float(row["number_density_per_m3"]) > 0


def test_unrelated_images_get_no_times(run, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(run, mixed)
    info = json.loads((mixed / "run.json").read_text())
    info["settings"]["mixed_sizes"] = True
    (mixed / "run.json").write_text(json.dumps(info))
    done = invoke(mixed, "--analysis", "number-density", "--no-report")
    said = " ".join(done.stderr.split())
    assert (
        "unknown, and so left out: pixel size (lengths are in px), foil thickness (no densities by "
        "volume); give --pixel-size, --thickness to analyze"
    ) in said
    done = invoke(mixed, "--analysis", "number-density", "--no-report", "--frame-interval", 2,
                  "--dose-start", 1, "--dose-per-frame", 0.1)  # fmt: skip
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert "(--mixed-sizes) have no time and no dose by their numbers; leave out " in said
    assert "or --mixed-sizes" not in said
    header = (mixed / "figures" / "number-density.csv").read_text().splitlines()[0].split(",")
    table = np.genfromtxt(mixed / "figures" / "number-density.csv", delimiter=",", names=True)
    for name in {"time_s", "dose_dpa"} & set(header):
        assert np.isnan(table[name]).all()


def test_a_calibration_that_is_given_twice(run, tmp_path):
    done = invoke(run, "--thickness", 80, "--thickness", 90, "--out", tmp_path)
    assert done.exit_code == 2
    assert "Invalid value for '--thickness': it takes one value, found 80.0 and 90.0" in done.output
