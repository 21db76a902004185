"""``defectscope profiles``: the grey across labelled lines, of an image and of its twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, plural, say, show_json
from defectscope.cli.plain_tables import show_table

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.analysis.profile_comparison import ProfileComparison

__all__ = ["profiles"]

NAMES = ("profiles.csv", "lines.csv", "profiles.png", "profiles.svg")


@click.command()
@click.argument("image", type=PATH)
@click.argument("labels", type=PATH)
@once(
    "--twin",
    type=PATH,
    metavar="DATASET",
    help="Compare with the image of this dataset whose lines lie where those of LABELS do.",
)
@once("--out", required=True, type=PATH, metavar="DIR", help="Where the results go.")
@once("--label", metavar="NAME", help="Only lines with this label.")
@once(
    "--reach",
    "reach_px",
    type=click.FloatRange(3, 48),
    default=12.0,
    show_default=True,
    metavar="PX",
    help="How far to look on either side of a line.",
)
@once(
    "--follow",
    "follow_px",
    type=click.FloatRange(0, 10),
    default=2.0,
    show_default=True,
    metavar="PX",
    help="How far a line may lie beside its label; 0 takes labels as they are.",
)
@click.option("--overwrite", is_flag=True, help="Replace former results in --out.")
@click.option("--json", "as_json", is_flag=True, help="Write the lines as JSON to stdout.")
@click.pass_context
def profiles(context: click.Context, /, **given: Any) -> None:
    """Measure the grey across the lines of IMAGE that LABELS (of any format) show.

    Written are profiles.csv (the grey across the middle of each line, along it on average, and
    the mean of all lines), lines.csv (width, contrast and roughness of each line) and a figure.
    Grey runs from 0 to 1. With --twin, the same is measured on the synthetic twin.

    \b
    Example:
      defectscope generate twin --set twin.labels=image.json --size 1024x768 --out twin
      defectscope profiles image.png image.json --twin twin --out profiles
    """
    from defectscope.analysis.profile_comparison import compare_profiles
    from defectscope.cli.profile_inputs import grey_of, labelled_lines, twin_of

    out = given["out"]
    _check_target(out, given["overwrite"])
    host = current_host(context)
    grey = grey_of(given["image"], host)
    lines = labelled_lines(given["labels"], given["image"], given["label"], grey.shape, host)
    pair = () if given["twin"] is None else twin_of(given["twin"], lines, grey.shape, host)
    result = compare_profiles(
        grey, lines, *pair, reach_px=given["reach_px"], follow_px=given["follow_px"]
    )
    _write(result, out)
    if given["as_json"]:
        show_json(_facts(result))
    else:
        show_table(*_table(result.lines, result.twin is not None))
    say(f"profiles of {plural(len(lines), 'line')} in {out}")


def _check_target(out: Path, overwrite: bool) -> None:
    from defectscope.core.errors import OutputError

    if out.exists() and not out.is_dir():
        raise OutputError(f"--out must be a folder, but {out} is a file")
    if not overwrite and any((out / name).exists() for name in NAMES):
        raise OutputError(f"{out} holds profiles; choose another --out, or give --overwrite")


def _write(result: ProfileComparison, out: Path) -> None:
    from defectscope.analysis.profile_figure import profile_figure
    from defectscope.core.findings import Finding
    from defectscope.pipeline.figure_files import write_finding
    from defectscope.pipeline.parts import write_table

    write_table(out / "lines.csv", result.lines)
    figure = profile_figure(result)
    write_finding(out, Finding("profiles", "Profiles", result.profiles, figure))


def _facts(result: ProfileComparison) -> dict[str, Any]:
    lines: list[dict[str, Any]] = json.loads(result.lines.to_json(orient="records"))
    return {"lines": lines, "mean": json.loads(_means(result.lines).to_json())}


def _means(lines: pd.DataFrame) -> pd.Series[float]:
    return lines.drop(columns="line").mean(numeric_only=True)


def _table(lines: pd.DataFrame, with_twin: bool) -> tuple[list[str], list[list[str]]]:
    sides = ("real", "twin") if with_twin else ("real",)
    columns = [f"{side}_{name}" for name in ("width_px", "contrast", "roughness") for side in sides]
    kinds = lines["real_contrast_kind"].fillna("–").tolist()
    rows = [
        [str(k), kind, *(_number(lines[column].iloc[k]) for column in columns)]
        for k, kind in enumerate(kinds)
    ]
    means = _means(lines)
    rows.append(["mean", "", *(_number(means[column]) for column in columns)])
    return ["line", "contrast", *(name.replace("_", " ") for name in columns)], rows


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"
