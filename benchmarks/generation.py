"""Labelled images of dislocations: ours against the plainly written recipe of Govind et al.

Usage: python benchmarks/generation.py [--rounds 7] [--images 12] [--lines 14] [--pool 600]

An image is 512 x 512 px on Perlin noise with its 14 dislocations, written to disk with a mask of
each, one of all together, and every parameter. The recipe is that of the paper: the Perlin noise
pixel by pixel with ``noise.pnoise2`` (needs the package ``noise``, and that a C compiler), SciPy's
filters, and Matplotlib, one canvas for the image and one for every mask. Both run in this one
process, in turns; then comes what our time is spent on; then one worker process against two,
also in turns.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter

from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.samples import SamplePlan

SIZE_PX, DPI = 512, 100
# What a stage of ours is: functions, by the name under which they are called.
STAGES = {
    "Perlin noise": ("generators.perlin_background.perlin_noise_grid",),
    "white noise": ("generators.perlin_background._add_white",),
    "Gaussian filters": ("generators.perlin_background._smoothed",),
    "rest of the background": ("generators.perlin_background.Perlin.render",),
    "geometry of the lines": ("generators.dislocations.Dislocations._plan",),
    "painting lines and traces": (
        "generators.dislocations.paint_lines",
        "generators.dislocations.Dislocations._draw_traces",
    ),
    "rest of the drawing": ("generators.dislocations.Dislocations.draw",),
    "PNG of the image": ("pipeline.generation.image_png",),
    "file of the image": ("pipeline.generation.write_bytes",),
    "PNG of the masks": ("pipeline.mask_files.mask_png",),
    "files of the masks": ("pipeline.generation.write_masks",),
    "parameters as JSON": ("pipeline.generation.write_json",),
    "truth as JSON": ("pipeline.generation.save_dataset", "pipeline.generation.join_coco_files"),
}


def plan(lines: int, seed: int) -> SamplePlan:
    """Return what we draw."""
    options = {"dislocations": {"count": lines}}
    background, generator = make_choices(["perlin", "dislocations"], options)
    return SamplePlan(background, (generator,), (SIZE_PX, SIZE_PX), seed)


def ours(folder: Path, lines: int, count: int, seed: int, workers: int = 1) -> None:
    """Write a dataset with masks."""
    generate_dataset(plan(lines, seed), count, folder, masks=True, workers=workers)


def pixel_by_pixel(wavelength_px: float, base: int) -> Any:
    """Compute one field of Perlin noise."""
    pnoise2 = importlib.import_module("noise").pnoise2
    field = np.zeros((SIZE_PX, SIZE_PX))
    for i in range(SIZE_PX):
        for j in range(SIZE_PX):
            field[i, j] = pnoise2(i / wavelength_px, j / wavelength_px, base=base)
    return field


def recipe_background(rng: np.random.Generator) -> tuple[Any, dict[str, float]]:
    """Compute eqs. 1 to 6 with parameters of Table 1."""
    p = {
        "wavelength_1": rng.uniform(10, 100),
        "wavelength_2": rng.uniform(10, 100),
        "perlin": rng.uniform(0.2, 0.4),
        "white": rng.uniform(0.5, 0.7),
        "smoothing_2": rng.uniform(0.6, 0.8),
    }
    field = pixel_by_pixel(p["wavelength_1"], 0)
    field = field + p["perlin"] * pixel_by_pixel(p["wavelength_2"], 1)
    field = (field - field.min()) / (field.max() - field.min())
    white = field + p["white"] * rng.uniform(-1, 1, field.shape)
    again = gaussian_filter(white, 1.0) + white.std() * rng.uniform(-1, 1, field.shape)
    return np.clip(gaussian_filter(again, p["smoothing_2"]), 0, 1), p


def recipe_lines(lines: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Draw pile-ups: splines between two slip traces, each shifted along them from the last."""
    drawn: list[dict[str, Any]] = []
    while len(drawn) < lines:
        angle, width, spacing = rng.uniform(0, np.pi), rng.uniform(60, 160), rng.uniform(10, 30)
        along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        start = rng.uniform(0.3, 0.7, 2) * SIZE_PX - across * width / 2
        for k in range(min(int(rng.integers(3, 8)), lines - len(drawn))):
            support = start + k * spacing * along
            support = support + np.linspace(0, 1, 5)[:, None] * width * across
            support = support + rng.normal(0, 0.02 * width, (5, 2))
            line = CubicSpline(np.linspace(0, 1, 5), support)(np.linspace(0, 1, 200))
            drawn.append(
                {
                    "support": support.tolist(),
                    "points": line.tolist(),
                    "grey": rng.uniform(0.15, 0.35),
                    "width": rng.uniform(1.5, 4.0),
                }
            )
    return drawn


def recipe_canvas(path: Path, lines: list[dict[str, Any]], background: Any = None) -> None:
    """Draw lines with Matplotlib, and save them as PNG."""
    figure, axes = plt.subplots(figsize=(SIZE_PX / DPI, SIZE_PX / DPI), dpi=DPI)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
    axes.axis("off")
    if background is not None:
        axes.imshow(background, cmap="gray", vmin=0, vmax=1)
    for line in lines:
        x, y = np.array(line["points"]).T
        colour = "black" if background is None else str(line["grey"])
        axes.plot(x, y, color=colour, linewidth=line["width"])
    axes.set_xlim(0, SIZE_PX)
    axes.set_ylim(SIZE_PX, 0)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def recipe(folder: Path, lines: int, seed: int) -> None:
    """Write one image, its masks and its parameters as the paper does."""
    rng = np.random.default_rng(seed)
    background, parameters = recipe_background(rng)
    drawn = recipe_lines(lines, rng)
    recipe_canvas(folder / "image.png", drawn, background)
    for number, line in enumerate(drawn):
        recipe_canvas(folder / f"mask-{number:02d}.png", [line])
    recipe_canvas(folder / "mask-all.png", drawn)
    text = json.dumps({"seed": seed, **parameters, "lines": drawn})
    (folder / "parameters.json").write_text(text)


def seconds(work: Callable[[Path], object]) -> tuple[float, float]:
    """Return how long `work` takes in a folder of its own, and how much of the processor.

    The folder stays until the end: for minutes after files were deleted, ext4 takes up to a
    millisecond to make each new one, which nobody meets who writes one dataset.
    """
    folder = Path(tempfile.mkdtemp())
    start, used = time.perf_counter(), time.process_time()
    work(folder)
    return time.perf_counter() - start, time.process_time() - used


def spread(values: list[float]) -> str:
    """Return median and range."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(rounds: int, images: int, lines: int) -> None:
    """Print images/s of both, and their ratio."""
    rates: dict[str, list[float]] = {"recipe": [], "ours": []}
    of_processor: list[float] = []
    few = max(1, images // 6)

    def theirs(folder: Path) -> None:
        for seed in range(few):
            recipe(folder, lines, seed)

    for number in range(-1, rounds):
        slow, slow_used = seconds(theirs)
        fast, fast_used = seconds(partial(_ours_in, lines=lines, count=images, seed=number + 1))
        if number >= 0:  # the first round imports and fills caches
            rates["recipe"].append(few / slow)
            rates["ours"].append(images / fast)
            of_processor.append((slow_used / few) / (fast_used / images))
    for name, values in rates.items():
        print(f"{name:6s} {spread(values)} images/s")
    ratios = [fast / slow for slow, fast in zip(rates["recipe"], rates["ours"], strict=True)]
    print(f"ratio {np.median(rates['ours']) / np.median(rates['recipe']):.1f}", end=" ")
    print(f"(by round {spread(ratios)}; of processor time {spread(of_processor)})")


def _ours_in(folder: Path, lines: int, count: int, seed: int, workers: int = 1) -> None:
    ours(folder / "data", lines, count, seed, workers)


@contextmanager
def watched(times: dict[str, float]) -> Iterator[None]:
    """Add up the time of each stage, less that of stages inside it."""
    inner = [0.0]

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any, **named: Any) -> Any:
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return work(*values, **named)
            finally:
                took = time.perf_counter() - start
                times[name] += took - inner.pop()
                inner[-1] += took

        return run

    with ExitStack() as stack:
        for name, functions in STAGES.items():
            for function in functions:
                module, _, attribute = f"defectscope.{function}".rpartition(".")
                owner = _resolved(module)
                work = timed(name, getattr(owner, attribute))
                stack.enter_context(mock.patch.object(owner, attribute, work))
        yield


def _resolved(path: str) -> Any:
    """Return a module, or a class or module inside one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        outer, _, name = path.rpartition(".")
        return getattr(_resolved(outer), name)


def stages(images: int, lines: int) -> None:
    """Print the share of each stage of ours."""
    times: dict[str, float] = defaultdict(float)
    with watched(times):
        total, _ = seconds(partial(_ours_in, lines=lines, count=images, seed=1))
    times["everything else"] = total - sum(times.values())
    print(f"stages of ours, {1e3 * total / images:.1f} ms an image:")
    for name, taken in sorted(times.items(), key=lambda item: -item[1]):
        print(f"  {name:26s} {1e3 * taken / images:6.2f} ms  {100 * taken / total:3.0f} %")
    limits = max(times, key=lambda name: times[name])
    print(f"  what limits: {limits}")


def pool(rounds: int, count: int, lines: int) -> None:
    """Print images/s of one and of two worker processes."""
    if (os.cpu_count() or 1) < 2:
        print("two workers: skipped, this machine has one core")
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers, found in rates.items():
            work = partial(_ours_in, lines=lines, count=count, seed=number, workers=workers)
            found.append(count / seconds(work)[0])
    for workers, values in rates.items():
        print(f"{workers} worker{'s' if workers > 1 else ' '} {spread(values)} images/s")
    print(f"ratio {np.median(rates[2]) / np.median(rates[1]):.2f}")


def main() -> None:
    """Read the command line, and make room."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=12, help="of ours in a round")
    parser.add_argument("--lines", type=int, default=14)
    parser.add_argument("--pool", type=int, default=600, help="images of the worker processes")
    given = parser.parse_args()
    mpl.use("Agg")
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as everything:
        tempfile.tempdir = everything
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Print everything, for the options of the command line."""
    try:
        importlib.import_module("noise")
    except ImportError:
        print(
            "recipe: skipped; it needs the package noise, which needs a C compiler: "
            'pip install "defectscope[noise]"'
        )
    else:
        compare(given.rounds, given.images, given.lines)
    stages(4 * given.images, given.lines)
    pool(max(3, given.rounds // 2), given.pool, given.lines)


if __name__ == "__main__":
    main()
