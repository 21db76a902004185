"""Scripts without a guard: what they start must not do all of it again."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.errors import UsageError

SCRIPT = """
import defectscope as ds
pipeline = ds.Pipeline("dark-blobs", analyses=[])
pipeline.run(ds.open("frames"), "run", overlay=False, figures=False, overwrite=True)
pipeline.run(ds.open("frames"), "run", overlay=False, figures=False, overwrite=True, workers=2)
"""


@pytest.fixture
def importing(monkeypatch):
    """As in a process that has been started and is importing the script that started it."""
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_touched_by_a_process_that_imports_the_script(
    importing, host, series, tmp_path, workers
):
    pipeline = ds.Pipeline("find", host=host)
    with pytest.raises(UsageError, match="below if __name__ == "):
        pipeline.run(series(3), tmp_path / "run", workers=workers)
    with pytest.raises(UsageError, match="below if __name__ == "):
        pipeline.watch(tmp_path, tmp_path / "run", idle_s=0.1)
    with pytest.raises(UsageError, match="below if __name__ == "):
        ds.generate("loops", tmp_path / "data", workers=workers)
    with pytest.raises(UsageError, match="below if __name__ == "):
        ds.train("heatmap", tmp_path / "data", tmp_path / "made.safetensors", workers=workers)
    assert not list(tmp_path.iterdir())


SEQUENCE = """
import numpy as np
import defectscope as ds
class Own(ds.FrameSequence):
    def __init__(self):
        self.indices, self.names, self.warnings = (0, 1, 2), ("a", "b", "c"), []
        {more}
    def read(self, position):
        return np.random.default_rng(position).integers(0, 256, (48, 64), np.uint8)
def run(**given):
    pipeline = ds.Pipeline("dark-blobs", analyses=[])
    pipeline.run(Own(), "run", overlay=False, figures=False, workers=2)
"""


@pytest.mark.parametrize(
    ("given", "more", "said"),
    [
        (["-c"], "", "the class of the frames stands in a notebook or an interactive session"),
        (["script.py"], "self.given = lambda: 0", "cannot be handed to other processes (Can't "),
        (["hidden.py"], "", "cannot be made again in another process (Can't get attribute 'Own'"),
    ],
)
def test_frames_of_an_own_class_that_others_cannot_make(tmp_path, given, more, said):
    script = SEQUENCE.format(more=more or "pass")
    if given == ["-c"]:
        given = ["-c", f"{script}\nrun()"]
    elif given == ["hidden.py"]:  # not there for who imports the script
        script = "if __name__ == '__main__':" + script.replace("\n", "\n    ") + "\n    run()"
    else:
        script += "if __name__ == '__main__':\n    run()"
    (tmp_path / given[0]).write_text(script)
    done = subprocess.run(
        [sys.executable, *given], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("defectscope.core.errors.UsageError: ")
    assert said in last
    assert "or leave out --workers and --dask" in last


def write_frames(folder, count):
    (folder / "frames").mkdir()
    for k in range(count):
        pixels = np.random.default_rng(k).integers(0, 256, (48, 64), dtype=np.uint8)
        cv2.imwrite(str(folder / "frames" / f"f{k}.png"), pixels)


def test_a_script_without_a_guard_is_told_and_keeps_its_folder(tmp_path):
    write_frames(tmp_path, 3)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert "a worker process died" in done.stderr.strip().splitlines()[-1]
    assert "runs the script again; put what a script does below" in done.stderr
    # The first run and the frame that the second one looked at itself were not replaced.
    result = ds.load_run(tmp_path / "run")
    assert result.info["status"].startswith("failed: a worker process died")
    assert result.info["status"].endswith("fewer --workers, and go on with --resume")
    assert result.frames["frame"].tolist() == [0]


READ_FROM_STANDARD_INPUT = """
import sys
import defectscope as ds
def tried(do):
    try:
        do()
    except ds.UsageError as error:
        print(error)
pipeline = ds.Pipeline("dark-blobs", analyses=[])
tried(lambda: pipeline.run(ds.open("frames"), "run", workers=2))
tried(lambda: ds.generate("loops", "data", count=2, size=64, workers=2))
pipeline.run(ds.open("frames"), "run", overlay=False, figures=False, workers=0)
"""


def test_a_script_from_standard_input_starts_no_process(tmp_path):
    write_frames(tmp_path, 3)
    done = subprocess.run(
        [sys.executable, "-"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300, input=READ_FROM_STANDARD_INPUT,
    )  # fmt: skip
    refused = "other processes cannot import a script that is read from standard input; put it "
    assert done.returncode == 0, done.stderr
    assert [line.startswith(refused) for line in done.stdout.splitlines()] == [True, True]
    assert "Traceback" not in done.stderr
    assert ds.load_run(tmp_path / "run").info["status"] == "complete"
    assert not (tmp_path / "data").exists()
