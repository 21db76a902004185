"""Synthetic data from Python: the same as from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.main import cli
from defectscope.pipeline import generating


def test_it_writes_what_the_command_line_does(tmp_path):
    made = ds.generate(
        ["dark=dislocations", "loops"], tmp_path / "one", background="foil", count=2,
        size=(96, 80), seed=3, bit_depth=16, options={"dark": {"count": 2}}, masks=True,
    )  # fmt: skip
    assert [image.instances.image_shape for image in made.images] == [(80, 96)] * 2
    arguments = [
        "generate", "dark=dislocations", "loops", "--background", "foil", "--count", "2", "--size",
        "96x80", "--seed", "3", "--bit-depth", "16", "--set", "dark.count=2", "--masks",
        "--out", str(tmp_path / "other"),
    ]  # fmt: skip
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    names = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(names) > 8
    for name in names:
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "other"))
        assert one == other, name


def test_a_single_name_and_a_single_side_are_enough(tmp_path):
    made = ds.generate("loops", str(tmp_path / "set"), size=np.int64(64))
    assert len(made.images) == 1
    assert json.loads((tmp_path / "set/dataset.json").read_text())["shape"] == [64, 64]


def test_options_may_be_numbers_of_numpy(tmp_path):
    options = {"loops": {"count": np.int64(2), "mixture": {"black dot": np.float32(1)}}}
    made = ds.generate("loops", tmp_path / "data", size=64, options=options)
    again = ds.generate("loops", tmp_path / "data", size=64, options=options, resume=True)
    assert len(made.images) == len(again.images) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_not_wanted_whole_is_left_in_the_files(workers, tmp_path):
    given = {"size": 64, "count": 3, "seed": 2}
    every = ds.generate("loops", tmp_path / "every", **given)
    some = ds.generate("loops", tmp_path / "some", **given, workers=workers, whole={1})
    assert [image.instances.masks is None for image in some.images] == [True, False, True]
    for one, other in zip(every.images, some.images, strict=True):
        assert one.instances.boxes.tolist() == other.instances.boxes.tolist()
        assert one.instances.defect_types.tolist() == other.instances.defect_types.tolist()
        assert one.instances.ignore.tolist() == other.instances.ignore.tolist()
    assert some.defect_types == every.defect_types
    truth = [(tmp_path / name / "annotations.json").read_bytes() for name in ("every", "some")]
    assert truth[0] == truth[1]


@pytest.mark.parametrize("preview", [False, True])
def test_the_command_line_keeps_only_what_it_shows(preview, tmp_path, monkeypatch):
    made, generate = [], generating.generate_dataset
    monkeypatch.setattr(
        generating, "generate_dataset", lambda *a, **k: made.append(generate(*a, **k)) or made[0]
    )
    arguments = ["generate", "loops", "--size", "96", "--count", "8", "--out", str(tmp_path / "a")]
    arguments += ["--preview"] if preview else []
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    whole = [k for k, image in enumerate(made[0].images) if image.instances.masks is not None]
    assert whole == ([0, 1, 3, 4, 6, 7] if preview else [])


@pytest.mark.parametrize(
    ("names", "given", "error", "message"),
    [
        ((), {}, ds.UsageError, "name at least one generator"),
        ("loop", {}, ds.UnknownNameError, "loops"),
        ("loops", {"options": {"loop": {}}}, ds.OptionError, "loop"),
        ("loops", {"bit_depth": 12}, ds.UsageError, "8 or 16 bits"),
        ("loops", {"count": 0}, ds.UsageError, "count must be a whole number of at least 1, "),
        ("loops", {"count": 2.5}, ds.UsageError, "count must be .*, found 2.5"),
        ("in-situ-loops", {"length": 0}, ds.UsageError, "length must be .* least 1, found 0"),
        ("loops", {"seed": -1}, ds.UsageError, "seed must be .* of at least 0, found -1"),
        ("loops", {"workers": 0}, ds.UsageError, "workers must be .* at least 1, found 0"),
        (5, {}, ds.UsageError, "expected one name, or several as a list; found 5"),
        ("loops", {"options": 3}, ds.OptionError, "options are one table a component.* found 3"),
        ("loops", {"options": {"loops": 3}}, ds.OptionError, "options are one table a component"),
        ("loops", {"bit_depth": "8"}, ds.UsageError, "images have 8 or 16 bits, found '8'"),
        ("loops", {"size": "64"}, ds.UsageError, r"\(width, height\) .*, found '64'"),
        ("loops", {"size": (64, 64, 3)}, ds.UsageError, r"found \(64, 64, 3\)"),
        ("loops", {"options": {"loops": {"density": -1}}}, ds.OptionError, "density"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path, names, given, error, message):
    with pytest.raises(error, match=message):
        ds.generate(names, tmp_path / "set", **{"size": 64, **given})
    assert not (tmp_path / "set").exists()


def test_what_a_system_puts_into_a_folder_is_not_in_the_way(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/.DS_Store").write_text("where icons are")
    assert len(ds.generate("loops", tmp_path / "set", size=64).images) == 1
