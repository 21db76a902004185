"""``train``, as real processes: very small networks, a few steps."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import defectscope as ds
from defectscope.cli.main import cli
from defectscope.core.weights import WeightFiles, read_tensors

RECIPE = """
title = "a few loops"
defect_types = ["dislocation-loop"]
[[source]]
background = "texture"
generators = ["in-situ-loops"]
size = 72
options.in-situ-loops.count = 4
"""
OPTIONS = {
    "channels": "[8, 8]", "blocks": "[1, 1]", "crop_px": 64, "crops_per_frame": 1,
    "frames_per_step": 2, "validation_frames": 2, "validate_every": 3, "warm_up_steps": 0,
    "learning_rate": 0.01,
}  # fmt: skip
# At every step, as if it took a minute.
KEEP = "from defectscope.detectors.learning import keeping; keeping.EVERY_S = 0\n"
# Somebody does something when a method is called for the n-th time; workers notice as well.
WHEN = """
import os, signal
from defectscope.detectors.heatmap.module import HeatmapModule
done = HeatmapModule.{method}
calls = 0
def doing(self, *given):
    global calls
    calls += 1
    if calls == {count}:
        {what}
    return done(self, *given)
HeatmapModule.{method} = doing
"""


def when(method, count, what):
    return WHEN.format(method=method, count=count, what=what)


def sets(**options):
    return [
        part for name, value in options.items() for part in ("--set", f"heatmap.{name}={value}")
    ]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "loops.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def train(preloaded, recipe, tmp_path):
    """Return a function that trains in a folder of its own."""

    def call(
        *more, data=recipe, out="x.safetensors", steps=7, workers=0, before="", options=OPTIONS
    ):
        return preloaded.call(
            "train", "heatmap", data, "--out", out, "--steps", steps, "--workers", workers,
            "--threads", 1, *sets(**options), *more, before=before, folder=tmp_path,
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def whole(preloaded, recipe, tmp_path_factory):
    """Weights of seven steps in one go."""
    folder = tmp_path_factory.mktemp("whole")
    done = preloaded.call(
        "train", "heatmap", recipe, "--out", "x.safetensors", "--steps", 7, "--workers", 0,
        "--threads", 1, "--title", "Seven steps", *sets(**OPTIONS), folder=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


def tensors(folder, name="x"):
    return read_tensors(folder / f"{name}.safetensors")


def same(folder, other):
    """The same weights to the last bit, and the same curve but for the time."""
    assert (folder / "x.safetensors").read_bytes() == (other / "x.safetensors").read_bytes()
    one, two = (
        pd.read_csv(f / "x.training/curve.csv").drop(columns="minutes") for f in (folder, other)
    )
    pd.testing.assert_frame_equal(one, two)


def failed(done, message, code=1):
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "should not happen" not in done.stderr


def test_weights_of_another_training_are_not_gone_on_with(whole, train, tmp_path):
    for suffix in ("safetensors", "onnx", "json"):
        shutil.copy(whole / f"x.{suffix}", tmp_path)
    before = (tmp_path / "x.safetensors").read_bytes()
    failed(train("--resume", steps=1), "holds the weights of another training")
    assert (tmp_path / "x.safetensors").read_bytes() == before


class TestResult:
    def test_files(self, whole):
        names = {path.name for path in whole.iterdir()} - {"stderr.txt"}
        assert names == {
            "x.safetensors", "x.onnx", "x.json", "x-curves.png", "x.training",
        }  # fmt: skip
        kept = {path.name for path in (whole / "x.training").iterdir()}
        assert kept == {"plan.json", "best.ckpt", "curve.csv"}

    def test_the_card_says_what_it_is_and_how_to_make_it_again(self, whole):
        files = WeightFiles.open(whole / "x.safetensors", "heatmap")
        files.checked(".onnx")
        files.checked(".safetensors")
        card = files.card
        assert card.title == "Seven steps"
        assert card.defect_types == ("dislocation-loop",)
        assert card.architecture == {
            "channels": [8, 8], "blocks": [1, 1], "classes": 1, "enlarge": 1.0,
        }  # fmt: skip
        assert card.recipe["steps"] == card.recipe["options"]["steps"] == 7
        assert card.recipe["options"]["learning_rate"] == 0.01
        assert card.recipe["data"]["source"][0]["options"] == {"in-situ-loops": {"count": 4}}
        assert card.threshold == round(card.threshold, 4)
        assert {"torch", "lightning", "defectscope", "python"} <= card.versions.keys()

    def test_weights_that_find_nothing_are_not_passed_off_as_good_ones(self, whole):
        # Seven steps are not enough for anything.
        card = WeightFiles.open(whole / "x.safetensors", "heatmap").card
        assert card.scores["validation"]["f1_iou_0.15"] == 0
        assert card.threshold_from == "nothing: F1 is 0 at every threshold on a few loops"
        said = (whole / "stderr.txt").read_text()
        assert "warning: after 7 steps nothing is found that is labelled in a few loops" in said

    def test_the_curve_has_a_row_a_validation_and_the_last_step(self, whole):
        curve = pd.read_csv(whole / "x.training/curve.csv")
        assert curve["step"].tolist() == [3, 6, 7]
        assert (curve[["loss_boxes", "loss_centres"]] > 0).all(axis=None)
        assert (whole / "x-curves.png").stat().st_size > 10_000

    def test_it_tells_how_it_goes_and_draws_no_bar_into_a_file(self, whole):
        lines = (whole / "stderr.txt").read_text().splitlines()
        assert lines[0].endswith("million parameters, 7 steps on a few loops")
        assert [line.partition(":")[0] for line in lines[1:4]] == ["step 3", "step 6", "step 7"]
        assert lines[-1].startswith("weights are in x.safetensors, threshold 0.")
        assert len(lines) == 7

    @pytest.mark.parametrize("engine", ["onnx", "torch"])
    def test_the_weights_work(self, whole, engine):
        from defectscope.detectors.heatmap.detector import Heatmap, HeatmapOptions

        if engine == "torch":
            pytest.importorskip("torch")
        weights = str(whole / "x.safetensors")
        detector = Heatmap(HeatmapOptions(weights=weights, engine=engine, score=0.001))
        noise = np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)
        (found,) = detector.detect([ds.Frame(noise)])
        assert len(found)

    def test_they_pass_the_checks_of_plugins(self, preloaded, whole):
        weights = f"heatmap.weights={whole / 'x.onnx'}"
        done = preloaded.call("plugins", "check", "heatmap", "--set", weights)
        assert done.returncode == 0, done.stdout
        assert "FAIL" not in done.stdout

    def test_what_was_learned_is_on_the_way_to_the_data(self, whole):
        curve = pd.read_csv(whole / "x.training/curve.csv")
        assert curve["loss_centres"].iloc[-1] < curve["loss_centres"].iloc[0]


class TestExisting:
    def test_it_is_refused_and_replaced_on_request(self, train, whole, tmp_path):
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
        before = (tmp_path / "x.safetensors").read_bytes()
        failed(train(), "x.safetensors exists; go on with --resume, replace it with --overwrite")
        assert (tmp_path / "x.safetensors").read_bytes() == before
        assert train("--overwrite", steps=2).returncode == 0
        assert pd.read_csv(tmp_path / "x.training/curve.csv")["step"].tolist() == [2]
        assert WeightFiles.open(tmp_path / "x.safetensors").card.recipe["steps"] == 2

    @pytest.mark.parametrize("option", [(), ("--resume",), ("--overwrite",)])
    def test_a_folder_of_somebody_else_is_left_alone(self, train, tmp_path, option):
        (tmp_path / "x.training").mkdir()
        (tmp_path / "x.training/notes.txt").write_text("mine")
        assert train(*option).returncode == 1
        assert (tmp_path / "x.training/notes.txt").read_text() == "mine"

    def test_so_are_files_of_somebody_else_in_ours(self, train, whole, tmp_path):
        shutil.copytree(whole / "x.training", tmp_path / "x.training")
        for name in ("notes.txt", ".last-0123456789.ckpt"):
            (tmp_path / "x.training" / name).write_text("half")
        assert train("--overwrite", steps=1).returncode == 0
        names = {path.name for path in (tmp_path / "x.training").iterdir()}
        assert names == {"plan.json", "best.ckpt", "curve.csv", "notes.txt"} - {"best.ckpt"}


class TestEndedEarly:
    def test_killed_and_gone_on_with(self, train, whole, tmp_path):
        kill = "os.kill(os.getpid(), signal.SIGKILL)"
        done = train(before=KEEP + when("training_step", 6, kill))
        assert done.returncode == -9
        assert not (tmp_path / "x.safetensors").exists()
        (tmp_path / "x.training/.last-0123456789.ckpt").write_bytes(b"half")
        again = train("--resume")
        assert again.returncode == 0, again.stderr
        assert "7 steps on a few loops, from step 5 on" in again.stderr
        assert not (tmp_path / "x.training/.last-0123456789.ckpt").exists()
        same(tmp_path, whole)

    def test_the_best_is_remembered_where_the_folder_was_moved(self, train, tmp_path):
        # In so few steps nothing is found: all scores are 0, and none is better than the first.
        kill = "os.kill(os.getpid(), signal.SIGKILL)"
        assert train(before=KEEP + when("training_step", 6, kill), steps=6).returncode == -9
        (tmp_path / "x.training").rename(tmp_path / "y.training")
        done = train("--resume", out="y.safetensors", steps=6)
        assert done.returncode == 0, done.stderr
        torch = pytest.importorskip("torch")
        best = torch.load(tmp_path / "y.training/best.ckpt", weights_only=True)
        assert int(best["global_step"]) == 3
        # ... nor worse than the last, which learned longer.
        assert WeightFiles.open(tmp_path / "y.safetensors").card.recipe["best_step"] == 6

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_ctrl_c_and_the_end_of_a_batch_job(self, train, whole, tmp_path, name):
        # To workers as well, as a terminal does, and many a batch system.
        stop = (
            "import multiprocessing\n"
            "        for worker in multiprocessing.active_children():\n"
            f"            os.kill(worker.pid, signal.{name})\n"
            f"        os.kill(os.getpid(), signal.{name})"
        )
        done = train(before=when("training_step", 2, stop), workers=1)
        failed(done, "stopped at step 2; ")
        assert "last.ckpt is kept; go on with --resume" in done.stderr
        assert done.stderr.endswith("interrupted\n")
        assert not (tmp_path / "x.safetensors").exists()
        assert train("--resume").returncode == 0
        same(tmp_path, whole)

    def test_workers_that_a_signal_ends_as_well(self, train, tmp_path):
        # As of a worker that has not got so far as to ignore it.
        stop = (
            "os.kill(os.getpid(), signal.SIGTERM)\n"
            "        import multiprocessing, time\n"
            "        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)\n"
            "        time.sleep(60)"
        )
        done = train(before=when("training_step", 2, stop), workers=1)
        failed(done, "stopped at step 1; go on with --resume\ninterrupted\n")

    def test_in_a_job_of_slurm_with_several_tasks(self, train, whole, tmp_path):
        # As in a script with "#SBATCH -n 4", which starts the program itself.
        job = {"JOB_ID": 7, "JOB_NAME": "a", "NTASKS": 4, "PROCID": 0, "LOCALID": 0, "NODEID": 0}
        slurm = {f"SLURM_{name}": str(value) for name, value in job.items()}
        done = train(before=f"import os; os.environ.update({slurm})")
        assert done.returncode == 0, done.stderr
        same(tmp_path, whole)

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_in_a_validation(self, train, whole, tmp_path, name):
        # The first frame of the validation after step 3.
        stop = f"os.kill(os.getpid(), signal.{name})"
        done = train(before=when("validation_step", 1, stop))
        failed(done, "stopped at step 3; ")
        again = train("--resume")
        assert again.returncode == 0
        assert "step 3:" not in again.stderr
        same(tmp_path, whole)

    def test_twice_it_stops_at_once(self, train, whole, tmp_path):
        twice = "[os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]"
        done = train(before=when("training_step", 5, twice))
        failed(done, "stopped at step 4; go on with --resume\ninterrupted\n")
        # The state in the middle of a step is nothing to go on with.
        assert not (tmp_path / "x.training/last.ckpt").exists()
        assert train("--resume").returncode == 0
        same(tmp_path, whole)

    def test_a_closed_terminal_may_be_told_of_twice(self, train, whole, tmp_path):
        twice = "[os.kill(os.getpid(), signal.SIGHUP) for _ in range(2)]"
        done = train(before=when("training_step", 5, twice))
        failed(done, "stopped at step 5; ")
        assert "last.ckpt is kept; go on with --resume" in done.stderr
        assert train("--resume").returncode == 0
        same(tmp_path, whole)

    def test_in_the_last_step_it_finishes(self, train, whole, tmp_path):
        done = train(before=when("training_step", 7, "os.kill(os.getpid(), signal.SIGINT)"))
        assert done.returncode == 0
        same(tmp_path, whole)

    def test_before_it_has_begun(self, train, tmp_path):
        before = (
            "import os, signal, defectscope.detectors.learning.training as t\n"
            "t.plan_of = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        )
        done = train(before=before)
        failed(done, "interrupted")
        assert "kept" not in done.stderr

    def test_resume_of_a_finished_one_leaves_it_as_it_is(self, train, whole, tmp_path):
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        done = train("--resume")
        assert done.returncode == 0
        assert done.stderr.startswith("the training of x.safetensors is already complete\n")
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before

    def test_resume_of_a_finished_one_writes_damaged_weights_anew(self, train, whole, tmp_path):
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
        (tmp_path / "x.onnx").write_bytes(b"half")
        assert train("--resume").returncode == 0
        same(tmp_path, whole)
        assert (tmp_path / "x.onnx").read_bytes() == (whole / "x.onnx").read_bytes()

    def test_one_may_be_content_with_what_there_is(self, train, whole, tmp_path):
        kill = "os.kill(os.getpid(), signal.SIGKILL)"
        assert train(before=KEEP + when("training_step", 5, kill)).returncode == -9
        done = train("--resume", "--set", "heatmap.max_minutes=0.001")
        assert done.returncode == 0, done.stderr
        card = WeightFiles.open(tmp_path / "x.safetensors").card
        assert card.recipe["best_step"] < 7 == card.recipe["steps"]
        # And go on all the same.
        again = train("--resume")
        assert again.returncode == 0, again.stderr
        assert "already complete" not in again.stderr
        same(tmp_path, whole)

    def test_the_best_state_has_its_scores_though_the_curve_forgot_them(self, train, tmp_path):
        # Killed after a new best state, and a good while after the last one that is gone on with.
        kill = "os.kill(os.getpid(), signal.SIGKILL)"
        kept_early = when("training_step", 3, "keeping.EVERY_S = 1e9") + when(
            "training_step", 5, kill
        ).replace("calls", "others").replace("done", "then").replace("doing", "also")
        assert train(before=KEEP + kept_early).returncode == -9
        assert (tmp_path / "x.training/best.ckpt").is_file()
        done = train("--resume", "--set", "heatmap.max_minutes=0.0001")
        assert done.returncode == 0, done.stderr

    def test_minutes_are_counted_anew(self, train, tmp_path):
        kill = "os.kill(os.getpid(), signal.SIGKILL)"
        before = KEEP + when("training_step", 5, kill)
        assert train("--set", "heatmap.max_minutes=60", before=before).returncode == -9
        done = train("--resume", "--set", "heatmap.max_minutes=0.0001")
        assert done.returncode == 0, done.stderr
        assert pd.read_csv(tmp_path / "x.training/curve.csv")["step"].iloc[0] == 3

    def test_another_training_is_not_gone_on_with(self, train, whole, tmp_path):
        shutil.copytree(whole / "x.training", tmp_path / "x.training")
        other = {**OPTIONS, "learning_rate": 0.02}
        done = train("--resume", "--seed", 4, options=other)
        failed(done, "another one: seed was 0, now it is 4; options.learning_rate was 0.01", 2)
        assert "--overwrite" in done.stderr

    def test_a_damaged_checkpoint(self, train, whole, tmp_path):
        shutil.copytree(whole / "x.training", tmp_path / "x.training")
        (tmp_path / "x.training/last.ckpt").write_bytes(b"PK\x03\x04 half")
        failed(train("--resume"), "last.ckpt is damaged")
        (tmp_path / "x.training/plan.json").write_text("{")
        failed(train("--resume"), "plan.json is damaged")

    def test_both_ways_to_treat_what_is_there(self, train):
        failed(train("--resume", "--overwrite"), "choose one", 2)


FULL = """
import errno, torch
save, calls = torch.save, 0
def full(value, path, *given):
    global calls
    calls += 1
    if calls < 4:
        return save(value, path, *given)
    with open(path, "wb") as file:
        file.write(bytes(1000))
    raise {error}
torch.save = full
"""


@pytest.mark.parametrize(
    "error",
    ["OSError(errno.ENOSPC, 'No space left on device')",
     "RuntimeError('[enforce fail at inline_container.cc:1] . unexpected pos 64 vs 0\\nframe #0')"],
)  # fmt: skip
def test_a_full_disk(train, whole, tmp_path, error):
    done = train(before=KEEP + FULL.format(error=error))
    failed(done, "is the disk full? What was kept before is still there")
    assert "frame #0" not in done.stderr
    kept = tmp_path / "x.training"
    assert not list(kept.glob(".*"))
    assert {path.name for path in kept.iterdir()} == {
        "plan.json", "last.ckpt", "best.ckpt", "curve.csv",
    }  # fmt: skip
    again = train("--resume")
    assert again.returncode == 0, again.stderr
    same(tmp_path, whole)


WITHOUT_TORCH = """
import sys
class Refused:
    def find_spec(self, name, *more):
        if name.partition(".")[0] in ("torch", "lightning"):
            raise SystemExit("no torch here")
sys.meta_path.insert(0, Refused())
from defectscope.cli.main import main
sys.exit(main())
"""
NO_NUMBER = """
import defectscope.detectors.heatmap.module as module
loss = module.focal_loss
module.focal_loss = lambda *given: loss(*given) * float("nan")
"""


def test_a_loss_that_is_no_number_ends_training(train, tmp_path):
    done = train(before=NO_NUMBER)
    failed(done, "the loss is nan after step 0: lower learning_rate, found 0.01", 2)
    assert not (tmp_path / "x.safetensors").exists()


class TestInit:
    def test_frozen_parts_stay_and_the_others_learn(self, train, whole, tmp_path):
        options = {k: v for k, v in OPTIONS.items() if k not in ("channels", "blocks")}
        done = train("--init", whole / "x.safetensors", steps=2,
                     options={**options, "freeze": "all-but-head"})  # fmt: skip
        assert done.returncode == 0, done.stderr
        before, after = tensors(whole), tensors(tmp_path)
        assert before.keys() == after.keys()
        for name, value in before.items():
            frozen = not name.startswith(("head.", "out."))
            assert np.array_equal(value, after[name]) == frozen, name

    def test_without_freezing_everything_learns(self, train, whole, tmp_path):
        assert train("--init", whole / "x.json", steps=2).returncode == 0
        before, after = tensors(whole), tensors(tmp_path)
        assert not any(np.array_equal(before[n], after[n]) for n in before if n.endswith("weight"))
        # Not from random weights either.
        assert np.abs(before["out.weight"] - after["out.weight"]).max() < 0.1

    def test_freezing_without_weights_to_keep(self, train):
        failed(train(options={**OPTIONS, "freeze": "encoder"}), "keeps the weights of --init", 2)

    def test_another_network_than_that_of_the_weights(self, train, whole):
        done = train("--init", whole / "x.onnx", options={**OPTIONS, "channels": "[8, 16]"})
        failed(done, "channels = (8, 16) does not fit", 2)

    def test_another_number_of_types(self, train, tmp_path):
        (tmp_path / "two.toml").write_text(RECIPE.replace('loop"]', 'loop", "black dot"]'))
        assert train(data="two.toml", out="two.safetensors", steps=1).returncode == 0
        done = train("--init", "two.safetensors")
        failed(done, "knows 2 defect types (dislocation-loop, black dot), the data has 1")

    def test_what_does_not_fit_is_refused_before_torch_is_imported(self, recipe, whole, tmp_path):
        (tmp_path / "two.toml").write_text(RECIPE.replace('loop"]', 'loop", "black dot"]'))
        shutil.copytree(whole / "x.training", tmp_path / "x.training")
        for data, more, error in (
            (
                "two.toml",
                ["--init", whole / "x.safetensors"],
                "knows 1 defect type (dislocation-",
            ),
            (recipe, ["--resume", "--steps", 9], "another one: steps was 7, now it is 9"),
            (recipe, ["--init", "lines"], "line-tracer"),
        ):
            out = "x.safetensors" if "--resume" in more else "y.safetensors"
            arguments = ["train", "heatmap", data, "--out", out, *more, *sets(**OPTIONS)]
            found = subprocess.run(
                [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)],
                capture_output=True, text=True, check=False, cwd=tmp_path,
            )  # fmt: skip
            assert error in found.stderr
            assert "no torch" not in found.stderr

    def test_weights_that_are_missing_or_pickled(self, train, tmp_path):
        failed(train("--init", "lops"), "there are no weights 'lops'", 2)
        (tmp_path / "y.pt").write_bytes(b"x")
        failed(train("--init", "y.pt"), "defectscope weights convert y.pt y.safetensors")


@pytest.fixture(scope="module")
def labelled(preloaded, tmp_path_factory):
    """A dataset of four labelled 16-bit images."""
    folder = tmp_path_factory.mktemp("labelled") / "data"
    done = preloaded.call(
        "generate", "in-situ-loops", "--size", "80x72", "--count", 4, "--out", folder,
        "--bit-depth", 16, "--set", "in-situ-loops.count=4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


# Once sizes were compared, and not among the frames of the validation.
CHANGED_LATER = """
import cv2, numpy
import defectscope.detectors.learning.training as training
plan = training.plan_of
def change(*given):
    cv2.imwrite("data/images/000003.png", numpy.eye(72, 90, dtype="uint8"))
    return plan(*given)
training.plan_of = change
"""


class TestDataset:
    def test_it_is_learned_from(self, train, labelled, tmp_path):
        done = train("--validation", labelled, data=labelled, steps=3)
        assert done.returncode == 0, done.stderr
        card = WeightFiles.open(tmp_path / "x.safetensors").card
        assert card.recipe["data"]["images"] == 4
        assert len(card.recipe["data"]["labels_sha256"]) == 64
        assert card.data == "data"
        assert card.threshold_from.endswith(" on data (the training frames)")
        assert card.scores["training frames"]["on"] == "data (the training frames)"
        assert "chosen on the training frames, of data, where scores flatter" in done.stderr
        assert "\ntraining frames: on data" in done.stderr

    def test_an_image_that_a_worker_cannot_use(self, train, labelled, tmp_path):
        shutil.copytree(labelled, tmp_path / "data")
        done = train(data="data", workers=1, before=CHANGED_LATER)
        failed(done, "error: 000003.png is 90 x 72 px, but its labels are of an image of 80 x 72")


WRONG = {
    "suffix": ([], 2, "--out must be a .safetensors file, found x.pt"),
    "option": (["--set", "heatmap.crops_px=64"], 2, "crops_px"),
    "value": (["--set", "heatmap.crop_px=65"], 2, "multiple of 32"),
    "levels": (["--set", "heatmap.blocks=[1]"], 2, "one number for each level"),
    "cuda": (["--device", "cuda"], 2, "CUDA was asked for, but torch finds no CUDA device"),
    "validation": (["--validation", "nowhere"], 1, "nowhere"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests(train, case, tmp_path):
    arguments, code, message = WRONG[case]
    if case == "cuda" and pytest.importorskip("torch").cuda.is_available():
        pytest.skip("this machine has CUDA")
    out = "x.pt" if case == "suffix" else "x.safetensors"
    failed(train(*arguments, out=out), message, code)
    assert not list(tmp_path.iterdir())


def test_detectors_that_learn_nothing_and_data_that_is_not_there(preloaded, recipe, tmp_path):
    done = preloaded.call("train", "dark-blobs", recipe, "--out", "x.safetensors", folder=tmp_path)
    failed(done, "the detector 'dark-blobs' learns nothing", 2)
    failed(done, "these have: faster-rcnn, faster-rcnn-detectron2, heatmap, line-tracer, unetpp", 2)
    done = preloaded.call("train", "heatmap", "no.toml", "--out", "x.safetensors", folder=tmp_path)
    failed(done, "cannot read the recipe no.toml")
    assert not list(tmp_path.iterdir())


def test_recipes_that_come_with_weights_are_known_by_name(monkeypatch, tmp_path):
    seen = {}
    stop = ds.UsageError("no further")

    def train(name, data, out, **given):
        seen.update(given, data=data)
        raise stop

    monkeypatch.setattr("defectscope.pipeline.training.train", train)
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "heatmap", "loops.toml", "--validation", "types.toml", "--out", "x"]
    assert CliRunner().invoke(cli, arguments).exception is stop
    assert seen["data"].is_file()
    assert seen["validation"].is_file()
    assert seen["validation"].name == "types.toml"


def test_help_names_what_may_be_given(preloaded):
    done = preloaded.call("train", "--help")
    assert done.returncode == 0
    for word in ("--resume", "--overwrite", "--init", "--validation", ".toml"):
        assert word in done.stdout
