"""``defectscope demo``: everything at once, on synthetic data with known truth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from defectscope.cli.common import PATH, current_host, once, say, shown_progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from defectscope.core.datasets import Dataset
    from defectscope.pipeline.evaluation import Evaluation
    from defectscope.pipeline.results import Result
    from defectscope.plugins.host import PluginHost

__all__ = ["demo"]

# What a demo leaves, and may therefore delete again.
INFO, DATA, RUN, FIGURE = "demo.json", "data", "run", "against-truth.png"
KEYS = {"seed", "scores"}
FRAMES, SIZE_PX, SEED = 60, 512, 1
PIXEL_SIZE_NM, DPA_A_FRAME, THICKNESS_NM = 0.4, 0.02, 80.0


@click.command()
@once(
    "--out",
    type=PATH,
    default=Path("demo-out"),
    show_default=True,
    metavar="DIR",
    help="Folder for data and results.",
)
@once("--seed", type=click.IntRange(0), default=SEED, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace a former demo in --out.")
@click.pass_context
def demo(context: click.Context, out: Path, seed: int, overwrite: bool) -> None:
    """Generate growing loops, find, measure and follow them, and score that against the truth."""
    from defectscope.core.errors import OutputError
    from defectscope.core.files import contents, write_json
    from defectscope.pipeline.run_owner import RunOwner

    host = current_host(context)
    if out.exists() and (not out.is_dir() or contents(out)):
        if not _is_demo(out):
            raise OutputError(f"{out} exists: it is not a former demo; choose another --out")
        if not overwrite:
            raise OutputError(f"{out} exists: give --overwrite to replace it")
        RunOwner(out / RUN).expect_no_other()
        _clear(out)
    # From now on the folder is a demo, also of one that is interrupted.
    write_json(out / INFO, {"seed": seed, "scores": None})
    say(f"generating {FRAMES} frames of {SIZE_PX} x {SIZE_PX} px")
    _make_data(out / DATA, seed, host)
    say("running heatmap, watershed-ellipse and trackpy on them")
    scores = _run_and_score(out, host)
    write_json(out / INFO, {"seed": seed, "scores": scores.as_dict()})
    _report(out, scores, host)


def _is_demo(folder: Path) -> bool:
    """Whether the folder was made by a demo, also by one that was interrupted."""
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(info, dict) and info.keys() == KEYS


def _clear(folder: Path) -> None:
    """Delete what a former demo left, and nothing that was put beside it."""
    from defectscope.core.errors import OutputError
    from defectscope.core.files import half_written

    own = [folder / name for name in (DATA, RUN, FIGURE, INFO)]
    try:
        for path in (*half_written(folder), *own):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot replace the demo in {folder}: {error}; choose another --out"
        ) from error


def _make_data(folder: Path, seed: int, host: PluginHost) -> None:
    """Write the synthetic sequence as a labelled dataset."""
    from defectscope.pipeline.choices import Choice
    from defectscope.pipeline.generation import generate_dataset
    from defectscope.pipeline.samples import SamplePlan

    options = {
        "pixel_size_nm": PIXEL_SIZE_NM,
        "dose_per_frame_dpa": DPA_A_FRAME,
        # Enough of them, and all at one depth, that some coalesce.
        "count": 75,
        "coalescence": 1.0,
    }
    background = Choice.parse("defectscope/texture")
    loops = Choice("defectscope/in-situ-loops", "in-situ-loops", options)
    plan = SamplePlan(background, (loops,), (SIZE_PX, SIZE_PX), seed, FRAMES, bit_depth=16)
    generate_dataset(plan, 1, folder, host)


def _run_and_score(out: Path, host: PluginHost) -> Evaluation:
    from defectscope.pipeline.api import Pipeline, evaluate, open_frames

    pipeline = Pipeline(
        "defectscope/heatmap",
        ["defectscope/watershed-ellipse"],
        "defectscope/trackpy",
        host=host,
    )
    frames = open_frames(
        out / DATA / "images",
        host=host,
        pixel_size_nm=PIXEL_SIZE_NM,
        dose_start_dpa=0.0,
        dose_per_frame_dpa=DPA_A_FRAME,
        thickness_nm=THICKNESS_NM,
    )
    with shown_progress() as progress:
        pipeline.run(frames, out / RUN, progress=progress)
    return evaluate(out / RUN, out / DATA, iou=0.4, host=host)


def _report(out: Path, scores: Evaluation, host: PluginHost) -> None:
    from defectscope.core.files import atomic_path
    from defectscope.pipeline.api import load_run
    from defectscope.pipeline.labels import open_dataset

    overall, sizes = scores.overall, scores.sizes
    figure = _figure(load_run(out / RUN), open_dataset(out / DATA, host))
    with atomic_path(out / FIGURE) as temporary:
        figure.savefig(temporary)
    say("")
    say(f"against the truth (IoU at least {scores.iou:g}):")
    for label, value in (
        ("F1", overall.f1), ("precision", overall.precision), ("recall", overall.recall),
        ("number of loops, relative error", sizes["count_error"]),
                *((f"mean diameter of {n}, relative error", row["relative_error"])
          for n, row in sizes["diameter_by_type"].items()),
        *((name, (scores.tracking or {}).get(name)) for name in ("mota", "idf1")),
    ):  # fmt: skip
        say(f"  {label}: {'–' if value is None else f'{value:.3f}'}")
    say("")
    for name in ("run/overlay.mp4", "run/figures", "run/particles.csv", "against-truth.png"):
        say(f"see {out / name}")


def _figure(run: Result, truth: Dataset) -> Figure:
    """Return numbers and sizes of every frame beside the truth."""
    import numpy as np
    from matplotlib.figure import Figure

    frames = [image.frame for image in truth.images]
    majors = [image.instances.measurements["major_px"] for image in truth.images]
    found = run.detections.groupby("frame")["diameter_nm"].median()
    figure = Figure(figsize=(10, 3.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(frames, [len(m) for m in majors], "k-", label="truth")
    left.plot(run.frames["frame"], run.frames["count"].astype(float), "o", ms=3, color="#e69f00",
              label="found")  # fmt: skip
    left.set(xlabel="Frame", ylabel="Loops in the frame")
    right.plot(frames, [PIXEL_SIZE_NM * np.median(m) for m in majors], "k-", label="truth")
    right.plot(found.index, found, "o", ms=3, color="#e69f00", label="measured")
    right.set(xlabel="Frame", ylabel="Median diameter (nm)")
    for panel in (left, right):
        panel.set_ylim(0, 1.25 * panel.get_ylim()[1])
        panel.legend(frameon=False, loc="upper left")
    return figure
