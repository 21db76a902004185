"""``defectscope analyze``: quantities, figures and a report of a finished run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from defectscope.cli.common import (
    PATH,
    calibration_options,
    calibration_values,
    component_options,
    current_host,
    frames_option,
    once,
    plural,
    roi_option,
    say,
    shown_progress,
    warn,
)
from defectscope.cli.completion import names_of
from defectscope.cli.unused import check_analyze

__all__ = ["analyze"]


@click.command()
@click.argument("run", type=PATH, metavar="RUN")
@click.option(
    "--analysis",
    "analyses",
    multiple=True,
    metavar="NAME",
    help="Only this analysis; may be repeated. All installed ones by default.",
    shell_complete=names_of("analyses"),
)
@component_options
@once(
    "--out",
    type=PATH,
    metavar="DIR",
    help="Folder for figures and report; the run folder by default. Labels need one.",
)
@once(
    "--tracks",
    type=PATH,
    metavar="TABLE",
    help="Tracks that 'track' made of the run's detections, in place of those of the run.",
)
@calibration_options
@frames_option
@roi_option
@click.option(
    "--images",
    multiple=True,
    type=PATH,
    metavar="INPUT",
    help="Where the frames are, if they were moved since the run; may be repeated.",
)
@once(
    "--viewer-frames",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    help="Frames that the report can step through.",
)
@once(
    "--figures",
    default="png,svg",
    show_default=True,
    metavar="FORMAT,...",
    help="Formats of the figures: png, svg, pdf.",
)
@click.option("--no-report", is_flag=True, help="Write figures and tables only.")
@click.pass_context
def analyze(context: click.Context, /, **given: Any) -> None:
    """Work out densities, sizes, growth, movement and more from the tables of RUN.

    RUN is a run folder, or labelled data in any format that 'convert' reads.

    Each figure is written as PNG and SVG (or PDF) with the data behind it as CSV, and all of it
    as report.html, one file that opens in any browser, offline. A calibration that is given fills
    what the run does not know, and overrules what it does; the tables of RUN stay as they are.
    """
    from defectscope.pipeline.analysing import analyse_run
    from defectscope.pipeline.choices import gather_options, read_config
    from defectscope.pipeline.report import number_text

    check_analyze(context)
    host = current_host(context)
    with shown_progress() as progress:
        done = analyse_run(
            given["run"],
            host,
            given["analyses"] or None,
            gather_options(given["assignments"], read_config(given["config"])),
            out=given["out"],
            frames=given["frames"],
            roi=given["roi"],
            images=given["images"],
            viewer_frames=given["viewer_frames"],
            report=not given["no_report"],
            figures=given["figures"],
            progress=progress,
            tracks=given["tracks"],
            calibration=given["calibration"],
            **calibration_values(given),
        )
    for text in done.warnings:
        warn(text)
    for number in (number for finding in done.findings for number in finding.numbers):
        if not math.isfinite(number.value):
            continue
        value, limits = number_text(number)
        say(f"{number.label}: {value}" + (f" ({limits})" if limits else ""))
    folder: Path = given["out"] or given["run"]
    say(f"{plural(len(done.files), 'file')} in {folder / 'figures'}")
    if done.report is not None:
        say(f"open {done.report}")
