"""``defectscope benchmark``: detectors side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import (
    PATH,
    component_options,
    current_host,
    frames_option,
    once,
    plural,
    rename_option,
    say,
    show_json,
    shown_progress,
    warn,
)
from defectscope.cli.completion import names_of
from defectscope.cli.score_tables import score_console, score_table
from defectscope.core.run_limits import DEVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from rich.table import Table

    from defectscope.pipeline.benchmark_results import Benchmark, Line

__all__ = ["benchmark"]


@click.command()
@click.argument("datasets", nargs=-1, required=True, type=PATH, metavar="DATASET...")
@click.option(
    "--detector",
    "detectors",
    multiple=True,
    metavar="NAME",
    help="Detector: NAME or ALIAS=NAME; may be repeated. dark-blobs always takes part.",
    shell_complete=names_of("detectors"),
)
@once("--out", required=True, type=PATH, metavar="DIR", help="Folder for the results.")
@component_options
@once(
    "--iou",
    type=float,
    default=0.15,
    show_default=True,
    help="Overlap of boxes that a match needs.",
)
@rename_option
@frames_option
@once(
    "--worst",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Pictures of the worst frames, for each detector and dataset.",
)
@click.option(
    "--noise",
    is_flag=True,
    help="Also on frames with Gaussian, Poisson and salt-and-pepper noise, three levels each.",
)
@once(
    "--threads",
    type=click.IntRange(0),
    default=0,
    help="Threads of a detector; 0 means one a core (default).",
)
@once("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@once(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="S",
    help="Longest time over one frame, s; a detector that takes longer is a failed line.",
)
@click.option("--json", "as_json", is_flag=True, help="Write everything as JSON to stdout.")
@click.option("--overwrite", is_flag=True, help="Replace a former benchmark in --out.")
@click.pass_context
def benchmark(context: click.Context, /, **given: Any) -> None:
    """Compare detectors on each DATASET: accuracy, speed and memory.

    Every detector works on every dataset in a process of its own. One that fails is reported,
    and the others go on; the exit code is 1 then. Limits are 95 %, by bootstrap over
    frames, or over whole sequences where DATASET is several.

    \b
    Example:
      defectscope benchmark labels/ --detector fine=dark-blobs
        --set fine.blur_px=1.5 --out comparison
    """
    from defectscope.core.errors import DefectscopeError
    from defectscope.pipeline.benchmark import benchmark as compare
    from defectscope.pipeline.choices import gather_options, read_config
    from defectscope.pipeline.renaming import parse_renames

    with shown_progress() as progress:
        found = compare(
            given["datasets"],
            given["detectors"],
            given["out"],
            options=gather_options(given["assignments"], read_config(given["config"])),
            rename=parse_renames(given["rename"]),
            progress=progress,
            host=current_host(context),
            **{
                name: given[name]
                for name in (
                    "frames",
                    "iou",
                    "worst",
                    "noise",
                    "threads",
                    "device",
                    "time_limit_s",
                    "overwrite",
                )
            },
        )
    for text in found.warnings:
        warn(text)
    if given["as_json"]:
        show_json(found.as_dict())
    else:
        _show(found)
    for line in found.failures:
        say(f"{line.detector} on {line.dataset} failed: {line.error}")
    say(f"results are in {found.folder}")
    if found.failures:
        count = plural(len(found.lines), "line")
        raise DefectscopeError(f"{len(found.failures)} of {count} failed; the others are written")


def _show(found: Benchmark) -> None:
    console = score_console()
    for dataset in found.info["datasets"]:
        if dataset["noise"] is not None:
            continue
        name = dataset["name"]
        lines = [line for line in found.lines if line.dataset == name]
        drawn = {line.scores.resampled for line in lines if line.scores is not None}
        over = ", limits over whole sequences" if "sequences" in drawn else ""
        title = f"{name}: {_holdings(dataset, lines)}, IoU at least {found.info['iou']:g}{over}"
        console.print(_accuracy(title, lines))
        console.print(_sizes(f"{name}: numbers and sizes", lines))
        if any(line.row()["line_score"] is not None for line in lines):
            console.print(_lines(f"{name}: lines (P1's score; 95 % limits)", lines))
        where = f"{found.info['device']}, {plural(found.info['threads'], 'thread')}"
        read = [line.row()["read_median_ms"] for line in lines if line.scores is not None]
        rest = f"; reading a frame, {read[0]:.1f} ms, comes on top" if read else ""
        console.print(_cost(f"{name}: time and memory, {where}{rest}", lines))
        spoilt = found.noise[found.noise["of"] == name]
        if len(spoilt):
            console.print(_noise(f"{name}: F1 with noise, and the part of it that is lost", spoilt))


def _holdings(dataset: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """Return how many frames and defects are scored: damaged frames are not."""
    frames, defects = dataset["frames"], dataset["defects"]
    row = next((line.row() for line in lines if line.scores is not None), None)
    if row is None or row["frames"] == frames:
        return f"{plural(frames, 'frame')}, {plural(defects, 'defect')}"
    return f"{row['frames']} of {plural(frames, 'frame')}, {plural(row['true_count'], 'defect')}"


def _shown(value: float | None, digits: int = 3, factor: float = 1, unit: str = "") -> str:
    return "–" if value is None else f"{factor * value:.{digits}f}{unit}"


def _accuracy(title: str, lines: Sequence[Line]) -> Table:
    table = score_table(title, "detector", "F1", "95 % limits", "precision", "recall")
    for line in lines:
        row = line.row()
        low, high = row["f1_low"], row["f1_high"]
        table.add_row(
            line.detector,
            "failed" if line.error is not None else _shown(row["f1"]),
            "–" if low is None else f"{low:.3f}–{high:.3f}",
            _shown(row["precision"]),
            _shown(row["recall"]),
        )
    return table


def _sizes(title: str, lines: Sequence[Line]) -> Table:
    table = score_table(title, "detector", "count error", "mean |count error| a frame",
                        "mean |median size error| a frame", "smallest found, true px")  # fmt: skip
    for line in lines:
        row = line.row()
        table.add_row(
            line.detector,
            "–" if row["count_error"] is None else f"{100 * row['count_error']:+.1f} %",
            _shown(row["count_error_per_frame"], 1, 100, " %"),
            _shown(row["median_side_error_per_frame"], 1, 100, " %"),
            ", ".join(_shown(row[f"smallest_{of}_side_px"], 1) for of in ("found", "true")),
        )
    return table


def _lines(title: str, lines: Sequence[Line]) -> Table:
    table = score_table(title, "detector", "score", "95 % limits", "precision", "95 % limits",
                        "recall", "distance px", "merges", "splits")  # fmt: skip
    for line in lines:
        row = line.row()
        limits = [
            "–" if row[f"{name}_low"] is None
            else f"{row[f'{name}_low']:.3f}–{row[f'{name}_high']:.3f}"
            for name in ("line_score", "line_precision")
        ]  # fmt: skip
        table.add_row(
            line.detector,
            _shown(row["line_score"]),
            limits[0],
            _shown(row["line_precision"]),
            limits[1],
            _shown(row["line_recall"]),
            _shown(row["line_distance_px"], 2),
            _shown(row["line_merges"], 0),
            _shown(row["line_splits"], 0),
        )
    return table


def _change(lost: float) -> str:
    # Where nothing was found without noise, there is nothing to lose.
    return "–" if math.isnan(lost) else f"{-100 * lost:+.0f} %"


def _noise(title: str, rows: pd.DataFrame) -> Table:
    """Return F1 and, in brackets, the part of that on the frames as they are that is lost."""
    table = score_table(title, "noise", "level", *dict.fromkeys(rows["detector"]))
    noisy = rows[rows["noise"] != ""]
    for (kind, level), own in noisy.groupby(["noise", "level"], sort=False):
        cells = [
            "–" if math.isnan(f1) else f"{f1:.3f} ({_change(lost)})"
            for f1, lost in own[["f1", "lost"]].astype(float).itertuples(index=False)
        ]
        table.add_row(str(kind), f"{level:g}", *cells)
    return table


def _cost(title: str, lines: Sequence[Line]) -> Table:
    table = score_table(title, "detector", "frames/s", "median ms", "95th % ms", "start-up s",
                   "first frame s", "peak MiB", "rise MiB")  # fmt: skip
    for line in lines:
        row = line.row()
        table.add_row(
            line.detector,
            _shown(row["frames_per_s"], 1),
            _shown(row["latency_median_ms"], 1),
            _shown(row["latency_p95_ms"], 1),
            _shown(row["startup_s"], 2),
            _shown(row["warm_up_s"], 2),
            _shown(row["peak_memory_mib"], 0),
            _shown(row["memory_rise_mib"], 0),
        )
    return table
