"""``defectscope evaluate``: predictions against truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from defectscope.cli.common import PATH, current_host, once, rename_option, show_json, warn
from defectscope.cli.score_tables import score_console, score_table

if TYPE_CHECKING:
    from rich.table import Table

    from defectscope.core.line_metrics import LineScores
    from defectscope.pipeline.evaluation import Evaluation

__all__ = ["evaluate"]


@click.command()
@click.argument("predictions", type=PATH)
@click.argument("truth", type=PATH)
@once(
    "--iou",
    type=float,
    default=0.15,
    show_default=True,
    help="Overlap of boxes that a match needs.",
)
@once(
    "--tracks",
    type=PATH,
    metavar="TABLE",
    help="Tracks that 'track' made of the run's detections, in place of those of the run.",
)
@click.option("--sweep", is_flag=True, help="Search scores and overlaps for the best F1.")
@rename_option
@click.option("--json", "as_json", is_flag=True, help="Write everything as JSON to stdout.")
@click.pass_context
def evaluate(
    context: click.Context,
    predictions: Path,
    truth: Path,
    iou: float,
    tracks: Path | None,
    sweep: bool,
    rename: tuple[str, ...],
    as_json: bool,
) -> None:
    """Score PREDICTIONS (a run folder or dataset) against TRUTH (a labelled dataset).

    Of two run folders the second is taken for the truth.

    Frames are joined by file name. A match needs boxes that overlap by --iou; pairs are made
    from the highest overlap down, one to one.

    Where TRUTH has a track_id, tracks are scored too: those of the run, of --tracks, or of labels
    with a track_id.
    """
    from defectscope.pipeline.evaluation import evaluate as compare
    from defectscope.pipeline.renaming import parse_renames

    result = compare(
        predictions, truth, iou=iou, sweep=sweep, rename=parse_renames(rename),
        tracks=tracks, host=current_host(context),
    )  # fmt: skip
    for text in result.warnings:
        warn(text)
    if as_json:
        show_json(result.as_dict())
        return
    console = score_console()
    for table in _tables(result):
        console.print(table)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f} %"


def _tables(result: Evaluation) -> list[Table]:
    tables = [_frames_table(result), _sizes_table(result)]
    if result.lines is not None:
        tables.append(_lines_table(result.lines))
    if len(result.by_type) > 1:
        tables += [_types_table(result), _population_table(result)]
    if result.confusion is not None:
        tables.append(_confusion_table(result.confusion))
    if result.tracking is not None:
        table = score_table("Tracks against truth", "score", "value")
        for name, value in result.tracking.items():
            shown = _number(value) if isinstance(value, float) or value is None else str(value)
            table.add_row(name.replace("_", " "), shown)
        tables.append(table)
    if result.sweep is not None:
        table = score_table("Best of the sweep", "F1", "least score", "IoU")
        best = result.sweep["best"]
        table.add_row(_number(best["f1"]), _number(best["score"]), _number(best["iou"], 1))
        tables.append(table)
    return tables


def _frames_table(result: Evaluation) -> Table:
    table = score_table(
        f"Boxes, IoU at least {result.iou:g}",
        "frame", "F1", "precision", "recall", "found", "true", "hits",
    )  # fmt: skip
    rows = result.per_frame.to_dict("records")
    for row in rows[:30]:
        table.add_row(
            str(row["name"]), _number(row["f1"]), _number(row["precision"]),
            _number(row["recall"]), str(row["predicted"]), str(row["true"]),
            str(row["true_positives"]),
        )  # fmt: skip
    if len(rows) > 30:
        table.add_row(f"… {len(rows) - 30} more (--json)", *[""] * 6)
    total = result.overall
    table.add_section()
    table.add_row(
        "all", _number(total.f1), _number(total.precision), _number(total.recall),
        str(result.sizes["predicted_count"]), str(result.sizes["true_count"]),
        str(total.true_positives),
    )  # fmt: skip
    return table


def _lines_table(lines: LineScores) -> Table:
    table = score_table(
        "Lines: 1 - relative length error of each true line's match", "quantity", "value"
    )
    for label, value in (
        ("score (P1)", lines.score),
        ("precision of lines", lines.precision),
        ("recall of lines", lines.recall),
        ("mean distance of matched lines, px", lines.mean_distance_px),
    ):
        table.add_row(label, _number(value))
    table.add_row("found, true, matched", f"{lines.predicted}, {lines.true}, {lines.matched}")
    table.add_row("found lines on two true ones", str(lines.merges))
    table.add_row("true lines in pieces", str(lines.splits))
    return table


def _sizes_table(result: Evaluation) -> Table:
    sizes = result.sizes
    table = score_table("Counts and sizes against truth", "quantity", "error")
    table.add_row("number (density), all frames", _percent(sizes["count_error"]))
    for label, key in (
        ("number, mean of the frames' absolute errors", "mean_absolute_count_error_per_frame"),
        ("number, worst frame", "largest_absolute_count_error_per_frame"),
        ("median longer box side, mean absolute", "median_side_error_per_frame"),
        ("median longer box side, worst frame", "largest_median_side_error"),
    ):
        table.add_row(label, "–" if sizes[key] is None else f"{100 * sizes[key]:.1f} %")
    for label, key in (
        ("smallest longer box side found", "smallest_found_side_px"),
        ("smallest longer box side of the truth", "smallest_true_side_px"),
    ):
        table.add_row(label, "–" if sizes[key] is None else f"{sizes[key]:.1f} px")
    for name, row in sizes["diameter_by_type"].items():
        label = f"mean diameter, {name} ({row['matched']} matched)"
        table.add_row(label, _percent(row["relative_error"]))
    return table


def _types_table(result: Evaluation) -> Table:
    table = score_table("By defect type", "type", "F1", "precision", "recall")
    for name, counts in result.by_type.items():
        table.add_row(name, _number(counts.f1), _number(counts.precision), _number(counts.recall))
    return table


def _population_table(result: Evaluation) -> Table:
    table = score_table("All that was found against all that is there (± standard error)", "type",
                   "found", "true", "density", "mean diameter px", "true px", "error",
                   "area fraction", "true fraction")  # fmt: skip
    for name, row in result.sizes["by_type"].items():
        cells = [f"{row['predicted_count']:.0f}", f"{row['true_count']:.0f}",
                 _percent(row["density_error"])]  # fmt: skip
        for side in ("predicted", "true"):
            mean, error = row[f"{side}_mean_diameter_px"], row[f"{side}_diameter_error_px"]
            cells.append(_number(mean, 1) + ("" if error is None else f" ± {error:.1f}"))
        cells.append(_percent(row["mean_diameter_error"]))
        areas = [_number(row[f"{side}_area_fraction"], 4) for side in ("predicted", "true")]
        table.add_row(name, *cells, *areas)
    return table


def _confusion_table(confusion: dict) -> Table:  # type: ignore[type-arg]
    names = confusion["names"]
    table = score_table("Truth (rows) taken for (columns)", "", *names, "missed", "class accuracy")
    for k, name in enumerate(names):
        accuracy = _number(confusion["class_accuracy"][name])
        table.add_row(name, *(str(n) for n in confusion["counts"][k]), accuracy)
    table.add_row("no truth", *(str(n) for n in confusion["counts"][-1][:-1]), "", "")
    return table
