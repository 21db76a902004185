from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from defectscope import ComponentSpec, Tracker, hookimpl
from defectscope.cli.track import track
from defectscope.core.errors import (
    ComponentError,
    FormatError,
    OptionError,
    OutputError,
    UnknownNameError,
    UsageError,
)
from defectscope.plugins.host import PluginHost
from defectscope.plugins.records import PluginRecord


class Failing(Tracker):
    def link(self, detections, geometry=None):
        raise ZeroDivisionError("seven")


class Silent(Tracker):
    def link(self, detections, geometry=None):
        return detections


class OwnPlugin:
    @hookimpl
    def defectscope_trackers(self):
        return [
            ComponentSpec("failing", "Fails.", f"{__name__}:Failing"),
            ComponentSpec("silent", "Adds nothing.", f"{__name__}:Silent"),
        ]


@pytest.fixture
def detections():
    rng = np.random.default_rng(0)
    frame, who = np.divmod(np.arange(200), 20)
    table = pd.DataFrame({"frame": frame, "x": 40.0 * who, "y": 7 / 3})
    table["x"] += rng.normal(0, 0.3, 200)
    return table.assign(defect_type="black dot", score=0.1 + 0.2)


@pytest.fixture
def csv(tmp_path, detections):
    path = tmp_path / "detections.csv"
    detections.to_csv(path, index=False)
    return path


def run(*arguments, host=None, tracker="trackpy"):
    """Run the command; its errors come through as they are."""
    words = [str(word) for word in arguments]
    named = [] if tracker is None else ["--tracker", tracker]
    runner = CliRunner()
    return runner.invoke(track, [*words, *named], obj=host, catch_exceptions=False)


def test_the_file_of_a_run_sets_the_options_of_the_tracker(csv, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("[heatmap]\nscale = 2\n\n[trackpy]\nmin_length = 11\n")
    outs = [tmp_path / f"{k}.csv" for k in range(3)]
    for out, words in zip(outs, ([], ["--set", "trackpy.min_length=2"]), strict=False):
        done = run(csv, "--config", config, "--out", out, *words)
        assert done.exit_code == 0, done.output
    assert [len(pd.read_csv(out)) for out in outs[:2]] == [0, 200]
    config.write_text("[heatmap]\nscale = 2\n")
    done = run(csv, "--config", config, "--out", outs[2])
    assert done.exit_code == 0
    assert "has no table [trackpy], so that it sets nothing here" in done.output


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_come_out_as_they_went_in_with_particles(tmp_path, detections, csv, suffix):
    source = csv
    if suffix == ".parquet":
        source = tmp_path / "detections.parquet"
        detections.to_parquet(source)
    out = tmp_path / "new" / f"tracks{suffix}"
    result = run(source, "--out", out)
    assert result.stdout == ""
    assert "200 rows, 20 particles, mean lifetime 10.0 frames" in result.stderr
    written = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    pd.testing.assert_frame_equal(written.drop(columns="particle"), detections)
    assert written["particle"].tolist() == [*range(20)] * 10


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_twice_gives_the_same_bytes(tmp_path, csv, suffix):
    digests = set()
    for k in range(2):
        out = tmp_path / f"tracks{k}{suffix}"
        run(csv, "--out", out)
        digests.add(hashlib.sha256(out.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_folder_of_parts_is_one_table(tmp_path, detections):
    folder = tmp_path / "detections.parquet"
    folder.mkdir()
    for k in range(4):
        detections[detections["frame"] % 4 == k].to_parquet(folder / f"part-{k}.parquet")
    out = tmp_path / "tracks.csv"
    run(folder, "--out", out)
    assert len(pd.read_csv(out)) == 200
    assert pd.read_csv(out).groupby("particle")["frame"].nunique().tolist() == [10] * 20


def test_a_table_indexed_by_frame_is_taken(tmp_path, detections):
    source, out = tmp_path / "frames.parquet", tmp_path / "tracks.csv"
    for table in (detections.set_index("frame"), detections.set_index("frame", drop=False)):
        table.to_parquet(source)
        run(source, "--out", out, "--overwrite")
        assert sorted(pd.read_csv(out).columns) == sorted([*detections.columns, "particle"])


@pytest.mark.parametrize(
    ("tracker", "name"),
    [("trackpy", "trackpy"), ("defectscope/trackpy", "trackpy"), ("mine=trackpy", "mine")],
)
def test_options_go_by_the_name_or_the_alias(tmp_path, csv, tracker, name):
    out = tmp_path / "tracks.csv"
    result = run(csv, "--out", out, "--set", f"{name}.min_length=11", tracker=tracker)
    assert "no rows" in result.stderr
    assert pd.read_csv(out).columns.tolist()[-1] == "particle"


def test_what_exists_is_kept_unless_overwritten(tmp_path, csv):
    out = tmp_path / "tracks.csv"
    out.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        run(csv, "--out", out)
    assert out.read_text() == "mine"
    run(csv, "--out", out, "--overwrite")
    assert len(pd.read_csv(out)) == 200
    again = tmp_path / "again.csv"
    run(out, "--out", again)  # particles of before are replaced
    assert again.read_bytes() == out.read_bytes()


def test_what_is_linked_is_kept(tmp_path, csv, monkeypatch):
    before = csv.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"--out is TABLE itself, .*; choose another FILE"):
        run(csv, "--out", csv.name, "--overwrite")
    assert csv.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["detections.parquet", "detections.csv", "tracks.parquet", "geometry.csv", "frames.csv"]
)
def test_tables_of_a_run_are_kept(tmp_path, csv, name):
    (tmp_path / "run.json").write_text("{}")
    before = csv.read_bytes()
    with pytest.raises(OutputError, match=r"of the run itself.*; analyze RUN --tracks FILE takes"):
        run(csv, "--out", tmp_path / name, "--overwrite")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detections.csv", "run.json"]
    assert csv.read_bytes() == before


def test_a_failure_leaves_nothing_behind(tmp_path, csv):
    pd.read_csv(csv).assign(x="far").to_csv(csv, index=False)
    with pytest.raises(FormatError, match="'x' must hold numbers"):
        run(csv, "--out", tmp_path / "tracks.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["detections.csv"]


@pytest.mark.parametrize(
    ("arguments", "tracker", "error", "message"),
    [
        (["--out", "t.xlsx"], "trackpy", UsageError, r"\.parquet or \.csv, found 't\.xlsx'"),
        (["--out", "folder.csv"], "trackpy", OutputError, "is a folder"),
        (["--out", "t.csv"], "trackpi", UnknownNameError, "did you mean 'trackpy'"),
        (["--out", "t.csv", "--set", "trackpy.mem=1"], "trackpy", OptionError, "'memory'"),
        (["--out", "t.csv", "--set", "other.memory=1"], "trackpy", OptionError, "'other'"),
        (["--out", "t.csv", "--set", "memory=1"], "trackpy", OptionError, "NAME.option=value"),
    ],
)
def test_wrong_requests(tmp_path, csv, monkeypatch, arguments, tracker, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(error, match=message):
        run(csv, *arguments, tracker=tracker)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("absent.csv", None, UsageError, "there is no file"),
        ("table.xlsx", b"", UsageError, "found 'table.xlsx'"),
        ("table.csv", b"", FormatError, "cannot be read"),
        ("table.csv", b"frame,x\n0,1\n", FormatError, "no 'y'"),
        ("table.csv", b"frame,x,y\n\xff\xfe,1,1\n", FormatError, "cannot be read"),
        ("table.parquet", b"frame,x,y\n", FormatError, "cannot be read"),
        (
            "table.csv",
            b"frame;x;y\n0;1,5;2\n",
            FormatError,
            "columns must be separated by commas, found semicolons",
        ),
        (
            "table.csv",
            b"frame\tx\ty\n0\t1\t2\n",
            FormatError,
            "columns must be separated by commas, found tabs",
        ),
        (
            "table.csv",
            b"\xef\xbb\xbfFRAME;X;Y\n0;1;2\n",
            FormatError,
            "columns must be separated by commas, found semicolons",
        ),
        (
            "table.csv",
            b"FRAME,X,Y\n0,1,2\n",
            FormatError,
            "lower case and without blanks: expected frame, x and y, found 'FRAME', 'X', 'Y'",
        ),
        (
            "table.csv",
            b"frame, x, y\n0,1,2\n",
            FormatError,
            "without blanks: expected frame, x and y, found ' x', ' y'",
        ),
        (
            "table.csv",
            b"frame,x,x,y\n0,1,2,3\n",
            FormatError,
            "the column 'x' comes twice",
        ),
        (
            "table.csv",
            b"frame,x,y\n0,1,2,3\n0,2,3,4\n",
            FormatError,
            "rows have more values than the 3 columns",
        ),
    ],
)
def test_other_tables(tmp_path, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        run(tmp_path / name, "--out", tmp_path / "out.csv")
    assert "\n" not in str(caught.value)


def test_column_names_of_parquet_are_checked_too(tmp_path, detections):
    source, out = tmp_path / "t.parquet", tmp_path / "out.csv"
    detections.rename(columns=str.upper).to_parquet(source)
    with pytest.raises(FormatError, match="column names are lower case"):
        run(source, "--out", out)
    arrow = pa.Table.from_pandas(detections, preserve_index=False)
    pq.write_table(arrow.append_column("x", arrow["y"]), source)
    with pytest.raises(FormatError, match="the column 'x' comes twice"):
        run(source, "--out", out)


def test_repeated_rows_are_counted(tmp_path, detections, csv):
    assert "warning" not in run(csv, "--out", tmp_path / "a.csv").stderr
    for rows, text in ((1, "1 row repeats"), (3, "3 rows repeat")):
        pd.concat([detections, detections[:rows].assign(score=0.9)]).to_csv(csv, index=False)
        result = run(csv, "--out", tmp_path / "a.csv", "--overwrite")
        assert f"warning: {text} the frame, x and y of an earlier one" in result.stderr


def test_a_table_without_rows_has_no_particles(tmp_path, csv, detections):
    detections[:0].to_csv(csv, index=False)
    result = run(csv, "--out", tmp_path / "t.csv")
    assert "no rows, no particles" in result.stderr
    assert list(pd.read_csv(tmp_path / "t.csv")) == [*detections.columns, "particle"]


def test_a_single_particle_is_not_told_in_the_plural(tmp_path, csv, detections):
    detections[:1].to_csv(csv, index=False)
    result = run(csv, "--out", tmp_path / "a.csv")
    assert "1 row, 1 particle, mean lifetime 1.0 frames" in result.stderr


def test_folders_that_are_no_tables(tmp_path):
    out = tmp_path / "out.csv"
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"holds no \.parquet"):
        run(folder, "--out", out)
    (folder / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="is a run folder"):
        run(folder, "--out", out)


@pytest.mark.parametrize(
    ("tracker", "message"),
    [("failing", "'failing' .*ZeroDivisionError: seven"), ("silent", "missing: particle")],
)
def test_a_tracker_that_misbehaves_is_named(tmp_path, csv, tracker, message):
    host = PluginHost()
    host.register(OwnPlugin(), PluginRecord("own", "own-trackers", "1.0", __name__))
    with pytest.raises(ComponentError, match=message):
        run(csv, "--out", tmp_path / "out.csv", host=host, tracker=tracker)
    assert not (tmp_path / "out.csv").exists()


def test_help_is_light_and_says_how():
    program = (
        "import sys; from click.testing import CliRunner; from defectscope.cli.track import track;"
        "print(CliRunner().invoke(track, ['--help']).output);"
        "print(sorted({'pandas', 'trackpy', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "--tracker NAME" in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_the_step_of_the_indices_is_found_and_said(tmp_path, detections, csv):
    detections.assign(frame=detections["frame"] * 5).to_csv(csv, index=False)
    result = run(csv, "--out", tmp_path / "a.csv")
    assert "memory and gaps count steps of 5" in result.stderr
    assert pd.read_csv(tmp_path / "a.csv")["particle"].nunique() == 20
    result = run(csv, "--out", tmp_path / "b.csv", "--frame-step", "1")
    assert "steps of" not in result.stderr
    assert pd.read_csv(tmp_path / "b.csv")["particle"].nunique() == 200


class Shown(Tracker):
    """Writes what it is shown into its table."""

    needs_geometry = True

    def link(self, detections, geometry=None):
        vertices = 0 if geometry is None else len(geometry)
        return detections.assign(
            particle=range(len(detections)),
            shown_x=detections["x"],
            vertices=vertices,
            step=self.frame_step,
            frames=str(self.looked_at),
        )


class ShownPlugin:
    @hookimpl
    def defectscope_trackers(self):
        return [ComponentSpec("shown", "Shows.", f"{__name__}:Shown")]


def shown_host():
    host = PluginHost(entry_points=())
    host.register(ShownPlugin(), PluginRecord("p", "other", "1", __name__))
    return host


def test_the_table_of_a_run_is_linked_as_the_run_would(tmp_path):
    found = pd.DataFrame({"frame": [0, 4], "detection": 0, "x": [5.0, 9.0], "y": 1.0})
    found.to_parquet(tmp_path / "detections.parquet")
    vertices = {"frame": [0], "detection": [0], "vertex": [0], "x": [1.0], "y": [2.0]}
    pd.DataFrame(vertices).to_parquet(tmp_path / "geometry.parquet")
    pd.DataFrame(
        {"frame": [0, 2, 4], "status": "ok", "drift_x_px": [0.0, 1.0, 4.0], "drift_y_px": 0.0,
         "jump": 0, "correlation": 1.0}
    ).to_csv(tmp_path / "frames.csv", index=False)  # fmt: skip
    (tmp_path / "run.json").write_text('{"plan": {}, "versions": {}, "status": "complete"}')
    out = tmp_path / "out" / "tracks.csv"
    result = run(tmp_path / "detections.parquet", "--out", out, tracker="shown", host=shown_host())
    tracks = pd.read_csv(out)
    assert tracks["shown_x"].tolist() == [5, 5]  # in the specimen
    assert tracks["x"].tolist() == [5, 9]
    assert tracks["vertices"].tolist() == [1, 1]
    assert tracks["step"].tolist() == [2, 2]
    assert tracks["frames"].tolist() == ["[0, 2, 4]"] * 2
    assert "goes by positions" not in result.stderr


def test_a_tracker_of_lines_says_that_it_has_none(tmp_path, csv):
    result = run(csv, "--out", tmp_path / "t.csv", tracker="shown", host=shown_host())
    assert "warning: 'shown' of other 1" in result.stderr
    assert "so that it goes by positions" in result.stderr
