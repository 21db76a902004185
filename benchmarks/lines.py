"""Dislocation lines: fixed test sets, and how well detectors find the lines in them.

Usage: python benchmarks/lines.py --out FOLDER [--patches FOLDER] [--count 200]
           [--detector line-tracer ...] [--set NAME.option=value ...]

The sets are drawn by the generator ``dislocations`` with seeds that nothing else uses, 512 x 512
px, and are never looked at to choose anything. Those on image backgrounds need patches:
``python benchmarks/line_patches.py DATA --out PATCHES``, whose folder ``test`` is taken; training
uses other frames of the same video. The set ``paper`` is painted by the recipe of Govind et al.
Fewer images are the first ones of a full set. What ``defectscope benchmark`` writes (tables,
figures, worst frames) lies in FOLDER/results, and ``strata.csv`` says how often lines are found by
contrast, width, distance of the nearest line and crossing angle.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from paper_lines import draw_paper_set

import defectscope as ds
from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.line_metrics import LineScores, score_lines
from defectscope.core.line_pairs import match_lines
from defectscope.core.options import parse_assignment
from defectscope.pipeline.bootstrap import resampled_frames
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.line_evaluation import LINE_SCORE_NAMES, line_limits
from defectscope.pipeline.samples import SamplePlan
from defectscope.plugins.host import default_host

SIZE = 512
# Name: (background, options of the generator, seed, part of the count).
SETS: dict[str, tuple[str, dict[str, Any], int, float]] = {
    "m1-images": ("images", {"preset": "m1"}, 71001, 1),
    "m2-images": ("images", {"preset": "m2"}, 71002, 1),
    "m1-perlin": ("perlin", {"preset": "m1"}, 71003, 1),
    "m2-perlin": ("perlin", {"preset": "m2"}, 71004, 1),
    "many-20": ("images", {"preset": "m2", "count": 20}, 71005, 1 / 3),
    "many-30": ("images", {"preset": "m2", "count": 30}, 71006, 1 / 3),
    "many-40": ("images", {"preset": "m2", "count": 40}, 71007, 1 / 3),
}
# Drawn by the paper's recipe instead of our generator, and its seed.
PAPER = ("paper", 71008)
# Sets that make up one row of the report.
POOLED = {"20-40 lines": ("many-20", "many-30", "many-40")}
STRATA = {
    "contrast, sigmas of the texture": ("contrast", (0, 2, 3, 4, 6, 100)),
    "width, px": ("width_px", (0, 3, 4, 5, 20)),
    "length, px": ("length_px", (0, 30, 80, 150, 10_000)),
    "nearest line over a fifth of the length, px": ("apart_px", (0, 4, 8, 16, 10_000)),
    "crossing angle, deg (-1: crosses none)": ("crossing_deg", (-2, 0, 15, 30, 60, 91)),
}


def drawn_sets(out: Path, patches: Path | None, count: int) -> list[Path]:
    """Draw the sets, as far as they are not there yet, and return their folders."""
    folders = []
    for name, (background, options, seed, part) in SETS.items():
        if background == "images" and patches is None:
            print(f"{name}: left out, for there are no patches (--patches)")
            continue
        given = {"images": {"folder": str(patches), "small_images": "mirror"}}
        chosen = make_choices(
            [background, "dislocations"],
            {"dislocations": options, **(given if background == "images" else {})},
        )
        plan = SamplePlan(chosen[0], (chosen[1],), (SIZE, SIZE), seed)
        folder = out / f"{count}" / name
        wanted = max(1, round(part * count))
        if not (folder / "annotations.json").is_file():
            generate_dataset(plan, wanted, folder, resume=folder.exists())
        print(f"{name}: {wanted} images in {folder}")
        folders.append(folder)
    folder = out / f"{count}" / PAPER[0]
    if not (folder / "annotations.json").is_file():
        draw_paper_set(folder, count, PAPER[1])
    print(f"{PAPER[0]}: {count} images in {folder}")
    return [*folders, folder]


def true_rows(folder: Path) -> list[pd.DataFrame]:
    """Return what is known of each true line, a table for each image."""
    tables = []
    for image in open_dataset(folder, default_host()).images:
        lines = list(image.instances.lines or ())
        styles = styles_of(folder / "parameters" / f"{image.stem}.json")
        rows = []
        for k, line in enumerate(lines):
            others = [other for j, other in enumerate(lines) if j != k]
            apart = [distances_to_curve(line, other) for other in others]
            near = min((float(np.quantile(d, 0.2)) for d in apart), default=9999.0)
            length = float(np.hypot(*np.diff(line, axis=0).T).sum())
            rows.append((length, near, crossing_deg(line, others, apart)))
        table = pd.DataFrame(rows, columns=["length_px", "apart_px", "crossing_deg"])
        # Of a line that leaves the frame and comes back, nobody knows which part is whose.
        known = len(styles) == len(lines)
        for column, key in (("contrast", "strength"), ("width_px", "width_px")):
            table[column] = [s.get(key, np.nan) for s in styles] if known else np.nan
        tables.append(table)
    return tables


def styles_of(path: Path) -> list[dict[str, Any]]:
    """Return how each line was drawn; nothing of images that are not our generator's."""
    if not path.is_file():
        return []
    pileups = json.loads(path.read_text())["generators"][0]["parameters"]["pileups"]
    return [style for pileup in pileups for style in pileup["lines"]]


def crossing_deg(line: Any, others: list[Any], apart: list[Any]) -> float:
    """Return the least angle at which a line crosses another, or -1."""
    angles = []
    for other, distance in zip(others, apart, strict=True):
        k = int(distance.argmin())
        if distance[k] > 1.0 or k in (0, len(line) - 1):
            continue
        j = int(np.hypot(*(other - line[k]).T).argmin())
        ways = [p[min(i + 4, len(p) - 1)] - p[max(i - 4, 0)] for p, i in ((line, k), (other, j))]
        turn = np.degrees(np.arctan2(ways[0][1], ways[0][0]) - np.arctan2(ways[1][1], ways[1][0]))
        angles.append(min(turn % 180, 180 - turn % 180))
    return float(min(angles, default=-1.0))


def strata(folders: list[Path], predictions: Path) -> pd.DataFrame:
    """Return recall and score by what is known of the true lines, over all sets."""
    tables = []
    for folder in folders:
        for (found, true), table in zip(
            lines_of(folder, predictions), true_rows(folder), strict=True
        ):
            match = match_lines(found, true)
            quality = np.zeros(len(table))
            quality[match.true] = match.quality
            matched = np.isin(np.arange(len(table)), match.true)
            tables.append(table.assign(quality=quality, found=matched))
    lines = pd.concat(tables, ignore_index=True)
    rows = []
    for title, (column, edges) in STRATA.items():
        for low, high in pairwise(edges):
            part = lines[(lines[column] >= low) & (lines[column] < high)]
            if len(part):
                rows.append((title, low, high, len(part), part["quality"].mean(),
                             part["found"].mean()))  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "from", "to", "lines", "score", "recall"])


def lines_of(folder: Path, predictions: Path) -> list[tuple[list[Any], list[Any]]]:
    """Return found and true lines of every image of a set."""
    predicted = open_dataset(predictions / f"{folder.name}.json", default_host())
    found = {image.stem: list(image.instances.lines or ()) for image in predicted.images}
    truth = open_dataset(folder, default_host())
    return [(found[image.stem], list(image.instances.lines or ())) for image in truth.images]


def pooled(folders: list[Path], predictions: Path) -> list[tuple[str, LineScores, dict[str, Any]]]:
    """Return scores and limits of every set, and of those that are reported together."""
    groups = {folder.name: (folder.name,) for folder in folders} | POOLED
    by_name = {folder.name: folder for folder in folders}
    rows = []
    for name, members in groups.items():
        scores = [
            score_lines(found, true)
            for member in members
            if member in by_name
            for found, true in lines_of(by_name[member], predictions)
        ]
        if scores:
            limits = line_limits(scores, resampled_frames(len(scores)))
            rows.append((name, sum(scores, LineScores()), limits))
    return rows


def shown(row: tuple[str, LineScores, dict[str, Any]], width: int) -> str:
    """Return one line of the report."""
    name, scores, limits = row
    parts = []
    for score in LINE_SCORE_NAMES:
        value, pair = getattr(scores, score), limits[score]
        text = "–" if value is None else f"{value:.3f}"
        parts.append(f"{text} ({pair[0]:.3f}–{pair[1]:.3f})" if pair else text)
    counts = f"{scores.merges} merged, {scores.splits} split"
    return "  ".join([f"{name:{width}s}", *parts, counts])


def main() -> None:
    """Draw, compare, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patches", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--detector", action="append")
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--draw-only", action="store_true")
    given = parser.parse_args()
    folders = drawn_sets(given.out, given.patches, given.count)
    if given.draw_only:
        return
    options: dict[str, dict[str, Any]] = {}
    for text in given.assignments:
        name, option, value = parse_assignment(text)
        options.setdefault(name, {})[option] = value
    results = given.out / "results"
    detectors = given.detector or ["line-tracer"]
    found = ds.benchmark([str(f) for f in folders], detectors, str(results), options=options,
                         threads=given.threads, overwrite=True)  # fmt: skip
    for detector in (d.partition("=")[0] for d in detectors):
        predictions = results / "predictions" / detector
        print(f"\n{detector}: score (P1), precision, recall, distance px, with 95 % limits")
        for row in pooled(folders, predictions):
            print(shown(row, 12))
        table = strata(folders, predictions)
        table.to_csv(results / f"strata-{detector}.csv", index=False)
        print(table.round(3).to_string(index=False))
        times = found.table[found.table["detector"] == detector]["latency_median_ms"]
        print(f"{times.median():.0f} ms a frame (median of the sets), {given.threads} threads")


if __name__ == "__main__":
    main()
