"""``fit``, as real processes: what generators drew is found again, and can be drawn from."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from defectscope.cli.fit import fit
from defectscope.core.errors import DefectscopeError
from defectscope.generators.loop_sizes import LoopSizes
from defectscope.generators.microstructure import Continuous, Discrete, Microstructure

KNOWN = Microstructure(
    title="known",
    source="made up",
    reference_px=768,
    pileups=Discrete(values=(1, 2), weights=(1, 1)),
    dislocations=Discrete(values=(3, 5), weights=(1, 1)),
    slip_width_px=Continuous(quantiles=(90, 110)),
    direction_deg=Continuous(quantiles=(20, 40)),
    spacing_px=Continuous(quantiles=(16, 24)),
    lean=Continuous(quantiles=(0.0, 0.1)),
    bow=Continuous(quantiles=(0.1, 0.2)),
)


def call(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "defectscope", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
    )


def done(*arguments, cwd=None):
    result = call(*arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with labelled dislocations of a known microstructure, and labelled loops."""
    folder = tmp_path_factory.mktemp("fit")
    KNOWN.save(folder / "known.json")
    options = {
        "microstructure": "known.json", "near_pairs": 0, "crossings": 0, "jitter": 0.01,
        "visible_from": 0, "waviness_px": 0, "most": 40,
    }  # fmt: skip
    settings = [part for k, v in options.items() for part in ("--set", f"dislocations.{k}={v}")]
    done("generate", "dislocations", "--size", "768", "--count", 8, *settings, "--out", "drawn",
         cwd=folder)  # fmt: skip
    done("convert", "drawn", "labels", "--to", "labelme", cwd=folder)
    done("generate", "loops", "--count", 3, "--out", "loops", cwd=folder)
    return folder


def drawn_pileups(folder):
    files = sorted((folder / "drawn/parameters").glob("*.json"))
    images = [json.loads(f.read_text())["generators"][0]["parameters"]["pileups"] for f in files]
    return [pileup for image in images for pileup in image]


def test_the_microstructure_that_was_drawn_is_found(folder):
    result = done("fit", "microstructure", "labels", "--out", "m1.json", "--title", "mine",
                  cwd=folder)  # fmt: skip
    assert result.stdout == ""
    assert "m1.json: microstructure 'mine', fitted to 8 labelled images" in result.stderr
    assert "slip direction (deg)" in result.stderr
    fitted = Microstructure.load(folder / "m1.json")
    assert fitted.title == "mine"
    assert fitted.reference_px == 768
    pileups = drawn_pileups(folder)
    # Lines that the rim cuts do not end on their traces: medians do not mind.
    for name, expected, tolerance in (
        ("slip_width_px", [p["slip_width_px"] for p in pileups], 4),
        ("direction_deg", [p["direction_deg"] for p in pileups], 3),
        ("spacing_px", np.concatenate([np.diff(p["offsets_px"]) for p in pileups]), 3),
    ):
        found = np.median(getattr(fitted, name).quantiles)
        assert found == pytest.approx(np.median(expected), abs=tolerance), name
    assert np.median(fitted.bow.quantiles) == pytest.approx(0.15, abs=0.05)
    counts = np.repeat(fitted.dislocations.values, np.array(fitted.dislocations.weights, int))
    assert np.median(counts) in (3, 4, 5)


def test_what_was_fitted_can_be_drawn(folder):
    told = done("fit", "microstructure", "labels", "--out", "again.json", "--json", cwd=folder)
    assert json.loads((folder / "again.json").read_text()) == json.loads(told.stdout)
    done("generate", "dislocations", "--set", "dislocations.microstructure=again.json",
         "--size", "768", "--out", "more", cwd=folder)  # fmt: skip
    parameters = json.loads((folder / "more/parameters/000000.json").read_text())
    drawn = parameters["generators"][0]["parameters"]
    assert drawn["microstructure"]["title"] == "labels"
    assert all(10 < p["direction_deg"] < 50 for p in drawn["pileups"])
    done("fit", "loop-sizes", "loops", "--out", "sizes.json", cwd=folder)
    done("generate", "loops", "--set", "loops.sizes=sizes.json", "--out", "new", cwd=folder)


def test_slip_traces_are_left_out_and_counted(folder, tmp_path):
    labels = tmp_path / "labels"
    shutil.copytree(folder / "labels", labels)
    path = sorted(labels.glob("*.json"))[0]
    document = json.loads(path.read_text())
    trace = {"label": "trace", "points": [[0, 9], [500, 9]], "shape_type": "line"}
    path.write_text(json.dumps({**document, "shapes": [*document["shapes"], trace]}))
    arguments = ["microstructure", str(labels), "--out", str(tmp_path / "m.json")]
    result = CliRunner().invoke(fit, [*arguments, "--trace-label", "trace"])
    assert result.exit_code == 0
    assert ", without 1 labelled as slip traces" in result.stderr


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_loop_sizes_are_fitted(folder, suffix):
    out = folder / f"loops-{suffix}.{suffix}"
    result = CliRunner().invoke(
        fit, ["loop-sizes", str(folder / "loops"), "--out", str(out), "--json"]
    )
    assert result.exit_code == 0
    fitted = LoopSizes.load(out)
    assert fitted == LoopSizes.model_validate_json(result.stdout)
    assert fitted.source == "fitted to 3 labelled images"
    assert "major axis (px)" in result.stderr
    assert set(fitted.types) <= {"a/2<111> loop", "a<100> loop", "black dot", "dislocation-loop"}


@pytest.fixture
def own_names(tmp_path):
    """One labelled image, whose types are somebody's own."""
    boxes = {"loop": [[10, 10, 12, 9], [40, 40, 12, 9]], "black dot": [[60, 20, 6, 6]]}
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 99, "height": 99}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(boxes)],
        "annotations": [
            {"id": 9 * k + n, "image_id": 1, "category_id": k, "bbox": box, "area": 1, "iscrowd": 0}
            for k, each in enumerate(boxes.values())
            for n, box in enumerate(each)
        ],
    }
    path = tmp_path / "own.json"
    path.write_text(json.dumps(document))
    return path


def test_labels_of_other_names_are_left_out_with_a_word(own_names, tmp_path):
    out = tmp_path / "sizes.json"
    result = CliRunner().invoke(fit, ["loop-sizes", str(own_names), "--out", str(out)])
    assert result.exit_code == 0
    assert "labels of types that loops does not draw are left out: 2 of 'loop'; " in result.stderr
    assert LoopSizes.load(out).source == "fitted to 1 labelled image"
    assert set(LoopSizes.load(out).types) == {"black dot"}


def test_labels_are_fitted_under_a_name_that_loops_draws(own_names, tmp_path):
    out = tmp_path / "sizes.json"
    arguments = ["loop-sizes", str(own_names), "--out", str(out), "--rename"]
    result = CliRunner().invoke(fit, [*arguments, "loop=dislocation-loop"])
    assert result.exit_code == 0
    assert "left out" not in result.stderr
    assert set(LoopSizes.load(out).types) == {"black dot", "dislocation-loop"}
    error = failure(*arguments, "lop=black dot", "--overwrite")
    assert "there is no defect type 'lop' (did you mean 'loop'?); there are: black dot, loop" in (
        str(error)
    )


def test_labels_of_other_names_alone_are_nothing_to_fit(own_names, tmp_path):
    own_names.write_text(own_names.read_text().replace("black dot", "dot"))
    error = failure("loop-sizes", own_names, "--out", tmp_path / "sizes.json")
    assert "found 2 of 'loop', 1 of 'dot' in 1 image" in str(error)


def failure(*arguments):
    """Return the error that `fit` ends with."""
    result = CliRunner().invoke(fit, [str(argument) for argument in arguments])
    assert isinstance(result.exception, DefectscopeError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["microstructure", "absent", "--out", "o.json"], 1, "there is no labelme file or folder"),
        (["microstructure", "drawn", "--out", "o.json"], 1, "'defectscope convert' writes"),
        (["microstructure", "labels", "--out", "o.txt"], 2, "--out must end in .json, found"),
        (["microstructure", "labels", "--out", "known.json"], 1, "exists; choose another name"),
        (["microstructure", "labels", "--out", "labels"], 2, "--out must end in .json"),
        (["microstructure", "labels", "--label", "x", "--out", "o.json"], 1, "with the label 'x'"),
        (["loop-sizes", "absent", "--out", "o.json"], 1, "there is no file or folder absent"),
        (["loop-sizes", "drawn", "--out", "o.json"], 1, "no loop sizes to fit"),
        (["loop-sizes", "loops", "--out", "o.csv"], 2, "must end in .json or .toml"),
    ],
)
def test_bad_input_is_one_sentence(folder, monkeypatch, arguments, code, message):
    monkeypatch.chdir(folder)
    error = failure(*arguments)
    assert error.exit_code == code
    assert message in str(error)
    assert not (folder / "o.json").exists()


def test_an_error_leaves_stdout_empty(folder):
    result = call("fit", "microstructure", "absent", "--out", "o.json", "--json", cwd=folder)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no labelme file or folder absent")
