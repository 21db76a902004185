"""The report, as text and in a browser that runs it."""

from __future__ import annotations

import base64
import html
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.errors import OptionError, UsageError
from defectscope.core.findings import KeyNumber
from defectscope.pipeline import analysing
from defectscope.pipeline.analysing import analyse_run
from defectscope.pipeline.report import number_text
from defectscope.pipeline.results import Result
from defectscope.pipeline.runfolder import RunFolder
from defectscope.pipeline.selected_tables import selected_tables
from defectscope.plugins.host import default_host

EVIL = "</script><img src=x onerror=alert(1)>"
BROWSER = next(
    (b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None
)


class Steady(ds.Detector):
    """Three boxes that drift and grow; the second one flickers."""

    defect_types = (EVIL,)

    def detect(self, frames):
        found = []
        for frame in frames:
            k = frame.index
            corners = np.array([[5.0, 5], [30, 8], [12, 28]]) + 0.1 * k
            boxes = np.hstack([corners, corners + 6 + 0.2 * k])
            seen = [0, 2] if k % 5 == 3 else [0, 1, 2]
            size = boxes[seen, 2] - boxes[seen, 0]
            axes = {"major_px": size, "minor_px": 0.8 * size, "angle_deg": 0 * size}
            units = {"major_px": "px", "minor_px": "px", "angle_deg": "deg"}
            instances = ds.Instances(frame.shape, boxes[seen], defect_types=EVIL)
            found.append(instances.with_measurements(axes, units))
        return found


class Plugin:
    """Registers the detector."""

    @ds.hookimpl
    def defectscope_detectors(self):
        return [ds.ComponentSpec("steady", "Test detector.", f"{__name__}:Steady")]


@pytest.fixture(scope="module")
def host():
    from defectscope.plugins.host import PluginHost, PluginRecord

    host = PluginHost(allowed=())
    host.register(Plugin(), PluginRecord("test", "test-components", "1.0", __name__))
    return host


@pytest.fixture(scope="module")
def run(tmp_path_factory, host):
    """A run on images that lie in a folder whose name is no markup, but looks like it."""
    import cv2

    folder = tmp_path_factory.mktemp("report")
    images = folder / "a<b>&'c"
    images.mkdir()
    for k in range(12):
        pixels = np.random.default_rng(k).integers(0, 256, (48, 64), dtype=np.uint8)
        (images / f"f<{k}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    pipeline = ds.Pipeline("steady", tracker="loops", analyses=[], host=host)
    known = {"frame_interval_s": 2.0, "dose_start_dpa": 0.5, "dose_per_frame_dpa": 0.1}
    frames = ds.open(images, pixel_size_nm=0.5, host=host, **known)
    out = folder / "run"
    pipeline.run(frames, out, overlay=False, figures=False)
    return out


def embedded(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_a_report_is_one_file_that_asks_for_nothing(run, host):
    done = analyse_run(run, host)
    page = done.report.read_text(encoding="utf-8")
    assert done.report == run / "report.html"
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "default-src 'none'" in page
    data = embedded(page)
    assert [frame["frame"] for frame in data["frames"]] == list(range(12))
    assert all(frame["image"].startswith("data:image/jpeg") for frame in data["frames"])
    assert len(data["particles"]) == 3
    assert [frame["count"] for frame in data["frames"]] == [3, 3, 3, 2, 3, 3, 3, 3, 2, 3, 3, 3]
    assert [frame["tracked"] for frame in data["frames"]] == [3] * 12
    history = data["histories"]["1"]
    assert history["seen"] == [1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1]
    assert {row["origin"] for f in data["frames"] for row in f["found"]} == {
        "detector", "interpolated"
    }  # fmt: skip
    assert set(done.files) <= {path.name for path in (run / "figures").iterdir()}
    assert ds.load_run(run).info["figures"] == sorted(done.files)


def test_figures_of_a_report_that_fails_go_with_the_run(run, host, tmp_path, monkeypatch):
    shutil.copytree(run, tmp_path / "run")

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(analysing, "_write_report", fail)
    with pytest.raises(KeyboardInterrupt):
        analyse_run(tmp_path / "run", host, ["number-density"])
    figures = tmp_path / "run/figures"
    assert ds.load_run(tmp_path / "run").info["figures"] == sorted(
        path.name for path in figures.iterdir()
    )
    (figures / "mine.png").touch()
    RunFolder(tmp_path / "run").create(overwrite=True)
    assert [path.name for path in figures.iterdir()] == ["mine.png"]


def test_names_and_types_are_text_and_no_markup(run, host):
    page = analyse_run(run, host).report.read_text(encoding="utf-8")
    assert EVIL not in page
    assert "<img src=x" not in page
    assert embedded(page)["types"] == [EVIL]
    assert html.escape(EVIL) in page  # in the key numbers


def test_what_is_unknown_is_said_once(run, host):
    done = analyse_run(run, host)
    (text,) = [t for t in done.warnings if "unknown" in t]
    assert "dose law" not in text
    assert "foil thickness" in text
    assert "pixel size" not in text
    page = done.report.read_text(encoding="utf-8")
    assert page.count(html.escape(text)) == 1


def test_a_part_of_the_frames_and_a_region(run, host, tmp_path):
    done = analyse_run(
        run, host, ["number-density"], frames="2:6", roi=(0, 0, 32, 48), out=tmp_path
    )
    (finding,) = done.findings
    assert finding.table["frame"].tolist() == [2, 3, 4, 5]
    assert finding.table["count"].tolist() == [2, 2, 2, 2]
    assert finding.table["area_px"].tolist() == [32 * 48] * 4
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "figures" / "number-density.svg").is_file()


def test_figures_of_a_part_among_those_of_the_run_are_told_apart(run, host, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "figures", ignore_errors=True)
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "figures": []}))

    def said(analyses, **given):
        done = analyse_run(copy, host, analyses, report=False, **given)
        return [text for text in done.warnings if "whole run" in text]

    both, one = ["number-density", "size-distribution"], ["number-density"]
    assert said(both) == []
    assert "figures_of" not in ds.load_run(copy).info
    (text,) = said(one, frames="2:6", pixel_size_nm=0.4)
    assert text == (
        "figures of frames 2:6 and another calibration stand among those of the whole run, in "
        "place of 3 of their files; give --out FOLDER to keep them apart"
    )
    (part,) = ds.load_run(copy).info["figures_of"]
    assert (part["frames"], part["calibration"]["pixel_size_nm"]) == ("2:6", 0.4)
    assert part["figures"] == [f"number-density.{kind}" for kind in ("csv", "png", "svg")]
    assert said(one, out=tmp_path / "other", frames="2:6") == []
    assert said(both) == []
    assert "figures_of" not in ds.load_run(copy).info


def test_who_asks_for_an_analysis_that_finds_nothing_is_told_why(run, host, tmp_path):
    asked = ["growth", "hardening"]
    done = analyse_run(run, host, asked, frames="0:5", out=tmp_path, report=False)
    assert done.findings == []
    growth, hardening = done.warnings[-2:]
    assert growth == "growth found nothing: no particle has 8 sightings with a size; the most is 5"
    assert hardening.startswith("hardening found nothing: the foil thickness is not known")
    everything = analyse_run(run, host, frames="0:5", out=tmp_path, report=False)
    assert not [text for text in everything.warnings if "found nothing" in text]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"roi": (0, 0, 65, 48)}, OptionError, "must lie inside what the run looked at: 0,0,64,48"),
        ({"roi": (9, 0, 9, 48)}, OptionError, "X0 < X1 and Y0 < Y1, found 9,0,9,48"),
        ({"frames": "50:60"}, OptionError, "no frame of the run is in 50:60; .* 0 to 11"),
        ({"images": ["nowhere"]}, UsageError, "no images at nowhere"),
    ],
)
def test_selections_that_hold_nothing_are_refused(run, host, given, error, text):
    from pathlib import Path

    if "images" in given:
        given = {"images": [Path(p) for p in given["images"]]}
    with pytest.raises(error, match=text):
        analyse_run(run, host, **given)


def test_a_region_that_a_frame_of_another_size_lacks_is_refused(run):
    tables = Result(run).tables_for_analysis(False)
    tables.frames.loc[3, ["width_px", "height_px"]] = [40, 30]
    small = tables.frames["source"][3]
    for roi in ((0, 0, 64, 20), (0, 0, 20, 48)):
        with pytest.raises(OptionError, match=f"every frame, and {small} is 40 x 30 px; choose"):
            selected_tables(tables, None, roi)
        assert selected_tables(tables, "4:", roi).roi == roi
    assert selected_tables(tables, None, (0, 0, 40, 30)).roi == (0, 0, 40, 30)
    # One that could not be read shows nothing, and so lacks nothing.
    tables.frames.loc[3, ["width_px", "height_px", "status"]] = [None, None, "damaged"]
    assert selected_tables(tables, None, (0, 0, 64, 48)).roi == (0, 0, 64, 48)
    assert len(selected_tables(tables, "3:5", (0, 0, 64, 48)).frames) == 2
    with pytest.raises(OptionError, match=r"no readable frame of the run is in 3:4: .* damaged"):
        selected_tables(tables, "3:4", None)


def test_frames_that_are_gone_leave_the_outlines(run, host, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**info, "input_paths": ["/nowhere/at/all"]}))
    page = analyse_run(copy, host).report.read_text(encoding="utf-8")
    assert "name them with --images" in page
    assert "Dashed: filled in" in page
    data = embedded(page)
    assert all(frame["image"] is None for frame in data["frames"])
    assert data["frames"][0]["found"]


def test_the_origin_human_is_explained_where_there_is_any(run, host, tmp_path):
    said = "Human: drawn or corrected by hand."
    assert said not in analyse_run(run, host).report.read_text(encoding="utf-8")
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for name in ("tracks", "detections"):
        table = pd.read_parquet(copy / f"{name}.parquet")
        table["origin"] = table["origin"].astype(object)
        table.loc[0, "origin"] = "human"
        table.to_parquet(copy / f"{name}.parquet", index=False)
    assert said in analyse_run(copy, host).report.read_text(encoding="utf-8")


def written(folder, names, seed):
    """Write images of noise."""
    import cv2

    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        pixels = np.random.default_rng(seed + k).integers(0, 256, (48, 64), dtype=np.uint8)
        cv2.imwrite(str(folder / name), pixels)
    return folder


def test_images_of_other_frames_are_not_shown_for_those_that_are_gone(host, tmp_path):
    folders = [
        written(tmp_path / side / "x", ["f0.png", "f1.png"], seed)
        for seed, side in ((0, "A"), (9, "B"))
    ]
    pipeline = ds.Pipeline("steady", analyses=[], host=host)
    pipeline.run(ds.open(folders, host=host), tmp_path / "run", overlay=False, figures=False)

    def shown():
        page = analyse_run(tmp_path / "run", host, []).report.read_text(encoding="utf-8")
        note = re.search("4 of 4 frames[^<]*", page)[0]
        return [frame["image"] is not None for frame in embedded(page)["frames"]], note

    assert shown() == ([True] * 4, "4 of 4 frames. Dashed: filled in.")
    shutil.rmtree(folders[0])
    images, note = shown()
    assert images == [False] * 4
    assert "2 of 4 inputs were not found; name all with --images." in note


@pytest.mark.parametrize(("count", "are_shown"), [(4, True), (5, False)])
def test_files_that_were_renamed_are_shown_where_they_can_only_be_those(
    host, tmp_path, count, are_shown
):
    before = written(tmp_path / "a", [f"f{k}.png" for k in range(4)], 0)
    pipeline = ds.Pipeline("steady", analyses=[], host=host)
    pipeline.run(ds.open(before, host=host), tmp_path / "run", overlay=False, figures=False)
    after = written(tmp_path / "b", [f"g{k}.png" for k in range(count)], 0)
    page = analyse_run(tmp_path / "run", host, [], images=[after]).report.read_text()
    shown = [frame["image"] is not None for frame in embedded(page)["frames"]]
    assert shown == [are_shown] * 4
    assert ("The 5 images are not those of the 4 frames" in page) is not are_shown


def test_numbers_have_as_many_digits_as_they_deserve():
    assert number_text(KeyNumber("n", 310.0)) == ("310", "")
    assert number_text(KeyNumber("d", 8.72283, "nm", 8.1, 9.3)) == ("8.72 nm", "8.10 to 9.30")
    value, limits = number_text(KeyNumber("rho", 2.8812e22, "1/m³", 2.42e22, 3.41e22))
    assert value == "2.88·10^22 1/m³"
    assert limits == "2.42·10^22 to 3.41·10^22"
    assert number_text(KeyNumber("zero", 0.0, "MPa", 0.0, 0.0))[0] == "0 MPa"


def test_a_report_says_of_what_it_leaves_out(run, host, tmp_path, monkeypatch):
    from defectscope.pipeline import report_data

    def note():
        page = analyse_run(run, host, ["number-density"], out=tmp_path).report.read_text(
            encoding="utf-8"
        )
        return re.search(r'<p class="note">(.*) Click on a heading', page)[1]

    assert note() == ""
    monkeypatch.setattr(report_data, "MOST_HISTORY_ROWS", 30)
    assert note() == "Histories of the 2 longest: all would be too many rows."
    monkeypatch.setattr(report_data, "MOST_PARTICLES", 2)
    assert note() == "The 2 longest of 3."


def probed(page, script, folder):
    """Return what a script says of a page in a browser."""
    file = folder / "probed.html"
    file.write_text(page.replace("</body>", PROBE % script), encoding="utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
         f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    said = html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)[1])
    return said.splitlines()


PROBE = """
<script>
addEventListener("load", () => {
  const said = [], say = (text) => said.push(text);
  const lines = () => [...document.querySelectorAll("#table tbody tr")];
  const cells = () => lines().map((r) => r.cells[0].textContent);
  %s
  document.body.replaceChildren(Object.assign(document.createElement("pre"),
      { id: "probe", textContent: said.join("\\n") }));
});
</script></body>"""
USED = """
  say("figures " + [...document.querySelectorAll("figure img")].every((i) => i.naturalWidth > 0));
  say("first " + cells().join(","));
  document.querySelector("#table th button").click();
  document.querySelector("#table th button").click();
  say("sorted " + cells().join(","));
  document.querySelectorAll("#table tbody tr")[1].click();
  say("history " + document.querySelectorAll("#history circle").length + " "
      + document.querySelectorAll("#history circle[fill=none]").length);
  document.getElementById("after").click();
  say("caption " + document.getElementById("caption").textContent);
  say("outlines " + document.querySelectorAll("#stage svg rect, #stage svg ellipse").length);
  const parts = [...document.querySelectorAll("#legend span")].map((s) => s.textContent);
  say("legend " + parts.join("|"));
  document.getElementById("filter").value = "no such thing";
  document.getElementById("filter").dispatchEvent(new Event("input"));
  say("filtered " + cells().length);
  say("images " + document.querySelectorAll("img[src=x]").length);
"""
LEFT_OUT = """
  const rows = () => document.getElementById("rows").textContent;
  say(rows());
  lines()[1].click();
  say(document.getElementById("history").textContent);
  document.getElementById("filter").value = "no such thing";
  document.getElementById("filter").dispatchEvent(new Event("input"));
  say("then " + rows());
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_works_in_a_browser(run, host, tmp_path):
    page = analyse_run(run, host).report.read_text(encoding="utf-8")
    assert probed(page, USED, tmp_path) == [
        "figures true", "first 0,1,2", "sorted 2,1,0", "history 12 2",
        "caption frame 1, f<1.png, 2.00 s, 0.600 dpa: 3 found, 3 tracked", "outlines 3",
        f"legend {EVIL}|5 nm", "filtered 0", "images 0",
    ]  # fmt: skip


AS_LARGE = """
  const stage = document.getElementById("stage");
  const inside = (node) => {
    const [own, all] = [node.getBoundingClientRect(), stage.getBoundingClientRect()];
    return own.left >= all.left && own.right <= all.right && own.top >= all.top - 1
        && own.bottom <= all.bottom;
  };
  const look = () => {
    const texts = [...stage.querySelectorAll("text")], shape = stage.querySelector("ellipse, rect");
    const size = texts[0].getAttribute("font-size") * stage.clientWidth / frames[0].width;
    say([stage.clientWidth, size.toFixed(2), texts.length, texts.every(inside),
         shape.getAttribute("stroke-width"), getComputedStyle(shape).vectorEffect].join(" "));
  };
  frames[0].found[0].box = [frames[0].width - 9, 0, frames[0].width, 8];
  frames[0].found[0].particle = 1234;
  frames[0].found[1].box = [10, frames[0].height - 2, 20, frames[0].height];
  document.getElementById("names").click();
  look();
  document.body.style.maxWidth = "200px";
  dispatchEvent(new Event("resize"));
  look();
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("larger", [1, 64])
def test_lines_and_numbers_are_as_large_on_the_screen_whatever_the_frame(
    run, host, tmp_path, larger
):
    page = analyse_run(run, host, ["number-density"], out=tmp_path).report.read_text(
        encoding="utf-8"
    )
    height, width = 48, 64
    text = f'"width":{width},"height":{height}'
    assert text in page
    page = page.replace(text, f'"width":{larger * width},"height":{larger * height}')
    wide, narrow = (said.split() for said in probed(page, AS_LARGE, tmp_path))
    # A frame is shown at most six times as large, and then no wider than the page.
    assert int(wide[0]) == 6 * width if larger == 1 else 6 * width < int(wide[0]) <= 1180
    assert int(narrow[0]) == 200
    assert wide[1:] == narrow[1:] == ["11.00", "3", "true", "1.5", "non-scaling-stroke"]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_says_what_it_leaves_out(run, host, tmp_path):
    page = analyse_run(run, host, ["number-density"], out=tmp_path).report.read_text(
        encoding="utf-8"
    )
    few = page.replace("MOST_ROWS = 1000", "MOST_ROWS = 2")
    bare = re.sub(r'"histories":\{.*?\},"axis"', '"histories":{},"axis"', few)
    assert probed(bare, LEFT_OUT, tmp_path) == [
        "2 of 3 shown; filter or sort", "Particle 1: history left out (too many rows)", "then ",
    ]  # fmt: skip


def test_every_analysis_of_a_run_without_detections(host, tmp_path):
    class Nothing(ds.Detector):
        def detect(self, frames):
            return [ds.Instances.empty(frame.shape) for frame in frames]

    frames = [ds.Frame(np.eye(32, dtype=np.uint8) * 9, index=k) for k in range(2)]
    pipeline = ds.Pipeline("dark-blobs", tracker="loops", analyses=[])
    pipeline.run(frames, tmp_path / "run", overlay=False, figures=False)
    done = analyse_run(tmp_path / "run", default_host())
    table = next(f.table for f in done.findings if f.name == "number-density")
    assert table["count"].tolist() == [0, 0]
    assert pd.notna(table["true_count_high"]).all()
    assert "pixel size" in " ".join(done.warnings)


def test_what_is_not_known_is_no_number():
    endless = KeyNumber("D", 0.2, "px²/frame", -math.inf, math.inf)
    assert number_text(endless) == ("0.2000 px²/frame", "")
    assert number_text(KeyNumber("size", math.nan, "nm"))[0] == "not known"


def test_frames_are_shown_under_their_own_names(host, tmp_path):
    """Of a folder that holds more than the run looked at, which numbers them otherwise."""
    import cv2

    (tmp_path / "frames").mkdir()
    for k in range(40):
        for name, level in (("A", 20), ("B", 220)):
            pixels = np.full((48, 64), level, np.uint8)
            pixels[k, k] = 128
            cv2.imwrite(str(tmp_path / f"frames/{name}{k:03d}.png"), pixels)
    chosen = sorted((tmp_path / "frames").glob("B*.png"))
    pipeline = ds.Pipeline("steady", analyses=[], host=host)
    pipeline.run(ds.open(chosen, host=host), tmp_path / "run", overlay=False, figures=False)
    page = analyse_run(tmp_path / "run", host).report.read_text(encoding="utf-8")
    frames = [frame for frame in embedded(page)["frames"] if frame["image"]]
    assert frames
    for frame in frames:
        encoded = base64.b64decode(frame["image"].partition(",")[2])
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert frame["source"].startswith("B")
        assert picture.mean() > 150


def test_tracks_of_every_third_frame_are_judged_by_the_frames_looked_at(run, host, tmp_path):
    images = Path(ds.load_run(run).info["input_paths"][0]).parent
    pipeline = ds.Pipeline("steady", tracker="loops", analyses=[], host=host)
    frames = ds.open(images, frames="0:12:3", host=host)
    pipeline.run(frames, tmp_path / "run", overlay=False, figures=False)
    known = pd.read_csv(tmp_path / "run/particles.csv")
    page = embedded(analyse_run(tmp_path / "run", host).report.read_text(encoding="utf-8"))
    place = page["columns"].index(next(c for c in page["columns"] if "quality" in c.lower()))
    assert [row[place] for row in page["particles"]] == known["quality"].tolist()
    assert "good" in known["quality"].tolist()
