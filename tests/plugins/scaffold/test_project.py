"""New plugin projects: which names are possible, what is written, and what is left alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.plugins import plugins
from defectscope.plugins.host import PluginHost, default_host
from defectscope.plugins.records import FAMILIES
from defectscope.plugins.scaffold import new_project
from defectscope.plugins.scaffold.kinds import KINDS, family_of
from defectscope.plugins.testing import isolated_host, register


class Outsider:
    @ds.hookimpl
    def defectscope_detectors(self):
        return [ds.ComponentSpec("dark-things", "Dark.", "nowhere:It")]


@pytest.fixture
def host():
    host = isolated_host()
    register(host, Outsider(), "outsider", "Out_Side", "3.1")
    return host


def test_every_family_has_a_template():
    assert set(KINDS) == {*FAMILIES, "commands"}


@pytest.mark.parametrize("family", KINDS)
def test_a_project_is_whole(family, tmp_path):
    host = PluginHost(allowed=())
    project = new_project(family, "my-thing", host, tmp_path / "p")
    written = {p.relative_to(tmp_path / "p").as_posix() for p in (tmp_path / "p").rglob("*.*")}
    assert set(project.files) == written - {".github"}
    settings = tomllib.loads((tmp_path / "p" / "pyproject.toml").read_text())
    assert settings["project"]["name"] == "defectscope-my-thing"
    points = settings["project"]["entry-points"]["defectscope"]
    assert points == {"my-thing": "defectscope_my_thing"}
    for path in project.files:
        if not path.endswith((".safetensors", ".onnx")):
            assert "<<" not in (tmp_path / "p" / path).read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize(
    ("word", "family"),
    [("detector", "detectors"), ("post-processor", "postprocessors"), ("analysis", "analyses"),
     ("defect-type", "defect-types"), ("command", "commands"), ("weights", "weights"),
     ("trackers", "trackers")],
)  # fmt: skip
def test_families_by_either_number(word, family):
    assert family_of(word) == family


BAD = {
    "Dark_Things": ("must be kebab-case, such as 'dark-things'", 2),
    "darkThings": ("such as 'dark-things'", 2),
    "dark--things": ("such as 'dark-things'", 2),
    "-dark": ("such as 'dark'", 2),
    "3d": ("must be kebab-case, such as 'd'", 2),
    "": ("must be kebab-case: ", 2),
    "dark things": ("such as 'dark-things'", 2),
    "../dark": ("such as 'dark'", 2),
    "löcher": ("must be kebab-case", 2),
    "a" * 41: ("at most 40 characters, found 41", 2),
    "detector": ("'detector' is reserved", 2),
    "trackers": ("'trackers' is reserved", 2),
    "defectscope": ("'defectscope' is reserved", 2),
    "dark-things": (r"taken in detectors by Out_Side 3\.1 \(plugin 'outsider'\)", 2),
    "outsider": (r"taken by Out_Side 3\.1", 2),
    "out-side": (r"taken by Out_Side 3\.1", 2),
}


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_not_possible(name, host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message, code = BAD[name]
    with pytest.raises(ds.UsageError, match=message) as caught:
        new_project("detector", name, host)
    assert caught.value.exit_code == code
    assert not list(tmp_path.iterdir())


def test_names_of_commands_and_suffixes_are_taken(tmp_path):
    with pytest.raises(ds.UsageError, match="there is a command 'run' already"):
        new_project("command", "run", default_host(), tmp_path / "new", ["run"])
    with pytest.raises(ds.UsageError, match=r"files ending in \.png are read by the shipped"):
        new_project("reader", "png", default_host(), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_the_readme_of_a_command_shows_its_help(host, tmp_path):
    new_project("command", "counts", host, tmp_path / "new")
    text = (tmp_path / "new/README.md").read_text()
    assert "defectscope counts --help" in text
    assert "plugins info" not in text


def test_the_readme_leads_to_no_page_that_may_not_be_there(host, tmp_path):
    new_project("detector", "mine", host, tmp_path / "new")
    assert "://" not in (tmp_path / "new/README.md").read_text()


def test_what_a_training_leaves_stays_out_of_the_wheel(host, tmp_path):
    # Hatchling leaves out what Git ignores.
    new_project("tracker", "mine", host, tmp_path / "new")
    ignored = (tmp_path / "new/.gitignore").read_text().splitlines()
    assert {"*.training/", "*-curves.png"} <= set(ignored)


def load(project, stem):
    """Import a module of a new project."""
    (path,) = project.folder.glob(f"*/{stem}.py")
    spec = importlib.util.spec_from_file_location(f"new_{stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks for it
    spec.loader.exec_module(module)
    return module


def test_the_generator_draws_the_smallest_discs(host, tmp_path):
    module = load(new_project("generator", "tiny", host, tmp_path / "new"), "generator")
    generator = module.TinyGenerator(module.TinyOptions(radius_px=1, count=200))
    found = generator.draw(np.full((40, 40), 0.8, np.float32), np.random.default_rng(0))
    assert len(found) == 200


def test_the_tracker_counts_frames_in_steps(host, tmp_path):
    module = load(new_project("tracker", "near", host, tmp_path / "new"), "tracker")
    tracker = module.NearTracker()
    rows = pd.DataFrame({"frame": [0, 2, 4, 8], "x": 1.0, "y": 1.0})
    assert tracker.link(rows)["particle"].tolist() == [0, 1, 2, 3]
    tracker.frame_step = 2
    assert tracker.link(rows)["particle"].tolist() == [0, 0, 0, 1]


def test_the_format_keeps_what_is_ignored(host, tmp_path):
    module = load(new_project("format", "boxes", host, tmp_path / "new"), "annotations")
    found = ds.Instances((9, 9), [[1, 1, 3, 3]], defect_types="black dot", ignore=[True])
    form = module.BoxesFormat()
    assert form.save(ds.Dataset([ds.LabelledImage("a.png", found)]), tmp_path / "a.csv") == []
    assert form.load(tmp_path / "a.csv").images[0].instances.ignore.tolist() == [True]
    assert [path.name for path in tmp_path.glob("*.*")] == ["a.csv"]


def boxes(**values):
    found = ds.Instances((9, 9), [[1, 1, 3, 3]], defect_types="black dot", **values)
    return ds.LabelledImage("a.png", found)


@pytest.mark.parametrize(
    ("image", "lost"),
    [
        (boxes(scores=[0.5]), "scores"),
        (boxes(measurements={"track_id": [3]}), "measurements and tracks"),
        (boxes(lines=[[[1, 1], [3, 3]]]), "masks and lines"),
        (replace(boxes(), frame=0), "frame indices, pixel sizes and doses"),
    ],
)
def test_the_format_says_what_it_leaves_out(image, lost, host, tmp_path):
    module = load(new_project("format", "boxes", host, tmp_path / "new"), "annotations")
    form = module.BoxesFormat()
    assert form.save(ds.Dataset([image]), tmp_path / "a.csv") == [f"{lost} are left out"]


def test_the_format_leaves_nothing_half_and_reads_what_excel_wrote(host, tmp_path, monkeypatch):
    module = load(new_project("format", "boxes", host, tmp_path / "new"), "annotations")
    form, path = module.BoxesFormat(), tmp_path / "a.csv"
    form.save(ds.Dataset([boxes()]), path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert form.accepts(path)
    assert len(form.load(path).images[0].instances) == 1
    written = path.read_bytes()
    monkeypatch.setattr(module.csv, "writer", lambda stream: None)
    with pytest.raises(AttributeError):
        form.save(ds.Dataset([boxes()]), path)
    assert path.read_bytes() == written
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["a.csv"]


def test_the_reader_says_that_an_archive_is_no_array(host, tmp_path):
    module = load(new_project("reader", "arr", host, tmp_path / "new"), "reader")
    path = tmp_path / "a.arr"
    with path.open("wb") as stream:
        np.savez(stream, one=np.zeros((4, 4)))
    for cut in (None, -40):
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ds.InputError, match=r"a\.arr holds no NumPy array"):
            module.ArrReader().read(path)


def test_a_name_is_free_in_another_family(host, tmp_path):
    project = new_project("tracker", "dark-things", host, tmp_path / "new")
    assert "defectscope_dark_things/tracker.py" in project.files


def test_the_prefix_may_be_given(host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_project("tracker", "defectscope-links", host).folder.name == "defectscope-links"


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_exists_is_left_alone(what, host, tmp_path):
    target = tmp_path / "there"
    if what == "folder":
        target.mkdir()
    elif what == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ds.OutputError, match="there exists; choose another --out"):
        new_project("tracker", "links", host, target)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_no_family_of_that_name(host):
    with pytest.raises(ds.UsageError, match=r"no family 'detectr' \(did you mean 'detector'\?\)"):
        new_project("detectr", "links", host)


def test_where_nothing_can_be_written(host, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ds.OutputError, match="cannot write"):
        new_project("tracker", "links", host, tmp_path / "file" / "inside")


def test_long_names_keep_linters_calm(host, tmp_path):
    name = "a-tracker-with-quite-a-long-name-to-type"
    new_project("tracker", name, host, tmp_path / "new")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_command(host, tmp_path):
    out = tmp_path / "new"
    result = CliRunner().invoke(plugins, ["new", "tracker", "links", "--out", str(out)], obj=host)
    assert result.exit_code == 0
    assert str(out / "pyproject.toml") in result.stdout.splitlines()
    assert f"pip install --editable {out}" in result.stderr
    assert "defectscope run FRAMES --tracker links --out results" in result.stderr
